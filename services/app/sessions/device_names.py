"""Short names of browsers, with just enough detail for users to recognize their devices.

A full User-Agent would make up half of a stored session. Libraries that recognize every browser need a thousand regular
expressions.
"""

from services.common.devices import Device

BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
"""First match wins: most browsers also claim to be the ones that follow."""
PLATFORMS = ("Android", "iPhone", "iPad", "Windows", "Macintosh", "CrOS", "Linux")
LENGTH = 24


def short(device: Device) -> Device:
    """Return *device* with a User-Agent such as `Firefox on Linux`, or the beginning of an unknown one."""
    agent = device.user_agent
    browser = next((name for mark, name in BROWSERS.items() if f"{mark}/" in agent), None)
    platform = next((name for name in PLATFORMS if name in agent), None)
    name = f"{browser} on {platform}" if browser and platform else agent
    return device._replace(user_agent=name[:LENGTH])
