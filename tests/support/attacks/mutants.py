"""Tokens a few steps away from a valid one, as an attacker who has only that would try them."""

import random
from collections.abc import Iterator

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
JUNK = [*ALPHABET, *".=+/ ~!%\"'\\{}", "..", "AAAA", "%00"]


def mutants(token: str, count: int, seed: int) -> Iterator[str]:
    """Yield *count* texts that differ from *token* in more than spaces at its ends: the same ones for a *seed*."""
    chance = random.Random(seed)
    while count:
        mutant = token
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            mutant = _changed(mutant, chance)
        if mutant.strip() and mutant.strip(" ") != token:
            count -= 1
            yield mutant.strip()


def _changed(token: str, chance: random.Random) -> str:
    if not token:
        return str(chance.choice(JUNK))
    place, other = chance.randrange(len(token)), chance.randrange(len(token))
    junk: str = chance.choice(JUNK)
    parts = token.split(".")
    match chance.randrange(8):
        case 0 | 1 | 2:  # one letter is another
            return token[:place] + junk + token[place + 1 :]
        case 3:  # the very last one: some of its bits mean nothing
            return token[:-1] + str(chance.choice(ALPHABET))
        case 4:
            return token[:place] + junk + token[place:]
        case 5:
            return token[:place] + token[place + chance.randint(1, 4) :]
        case 6:
            return token[min(place, other) :] if chance.random() < 0.5 else token[: max(place, other)]
        case _:  # parts that change places, or come twice
            chance.shuffle(parts)
            return ".".join(parts[: chance.randint(1, len(parts))] + [chance.choice(parts)] * chance.randint(0, 1))
