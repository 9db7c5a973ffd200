"""What leaves klepaas: answers, tables, and the cleaning that every way out goes through.

`foreign_text` takes the power out of text that somebody outside wrote, `redaction` hides secrets, `budget` keeps
answers short. The gate applies all three to every result and error; a plugin masks what only it can see (which field
of an object is a secret) before it answers.
"""

from klepaas.output.answer import Answer, Output, json_answer, table, timestamp

__all__ = ["Answer", "Output", "json_answer", "table", "timestamp"]
