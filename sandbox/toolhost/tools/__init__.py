"""The baked-in tools, one file each: NAME, DESCRIPTION, NEEDS, PARAMETERS and ``run``."""
