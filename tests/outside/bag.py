"""A bag, judged by PyPI's bagit: valid, or not (exit 1)."""

import sys

import bagit

try:
    bagit.Bag(sys.argv[1]).validate()
except bagit.BagError as error:
    print(error)
    sys.exit(1)
print("ok")
