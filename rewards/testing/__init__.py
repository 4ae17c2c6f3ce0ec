"""The conformance test that the author of a reward runs, in one line of a pytest file.

def test_redness_keeps_the_contract():
    check_reward("redness")

For texts it imports no tensor library.
"""

from rewards.testing.examination import check_reward, examine
from rewards.testing.finding import Finding

__all__ = ["Finding", "check_reward", "examine"]
