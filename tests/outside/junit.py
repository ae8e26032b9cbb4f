"""JUnit XML, read by PyPI's junitparser: how many cases, failures and errors."""

import sys

from junitparser import JUnitXml

document = JUnitXml.fromfile(sys.argv[1])
print(document.tests, document.failures, document.errors)
