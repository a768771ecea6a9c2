"""What the lab cannot do."""


class LabError(Exception):
    """What keeps the lab from doing as told: one clear sentence, with its remedy."""
