"""What the content of a change does: a table of rules, each a pure function of an object before and after.

`find_risks` gives the changes with their risks, `facts_of` the decisive fields of a new object. `RULES` is the table;
`docs/security.md` shows it. `lookups` is the one module here that asks the cluster.
"""

from klepaas_plugins.kubernetes.risks.facts import facts_of
from klepaas_plugins.kubernetes.risks.judging import RULES, judge
from klepaas_plugins.kubernetes.risks.lookups import find_risks, judge_again
from klepaas_plugins.kubernetes.risks.model import ABSENT, UNKNOWN, Known, Ref

__all__ = ["ABSENT", "RULES", "UNKNOWN", "Known", "Ref", "facts_of", "find_risks", "judge", "judge_again"]
