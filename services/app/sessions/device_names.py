"""What a session remembers of a browser: just enough for its user to recognize it.

A whole User-Agent would be half of a stored session. (Libraries that know all of them need a thousand regular
expressions for it.)
"""

from services.common.devices import Device

BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
"""The first that is named is it: most also claim to be those that follow."""
PLATFORMS = ("Android", "iPhone", "iPad", "Windows", "Macintosh", "CrOS", "Linux")
LENGTH = 24


def short(device: Device) -> Device:
    """Return *device* with a User-Agent such as `Firefox on Linux`; of what is no browser, the beginning."""
    agent = device.user_agent
    browser = next((name for mark, name in BROWSERS.items() if f"{mark}/" in agent), None)
    platform = next((name for name in PLATFORMS if name in agent), None)
    name = f"{browser} on {platform}" if browser and platform else agent
    return device._replace(user_agent=name[:LENGTH])
