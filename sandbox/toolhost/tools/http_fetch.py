"""x"""

NAME = "http_fetch"
DESCRIPTION = ""
NEEDS = ("internet",)
PARAMETERS: dict[str, object] = {"type": "object"}
