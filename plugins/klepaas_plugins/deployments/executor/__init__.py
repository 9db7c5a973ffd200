"""One decision for every change of an application: look, decide, write.

    intent (journal) + observed (cluster) -> decide -> apply | wait | verified | restore | ended

`decide` is pure and is called after every observation; an error is an observation. `intent` holds what outlives a
process, `observed` what is there now, `observe` builds it with few requests; `loop` calls them in turn, `execution`
does what is decided, and `answering` ends it. Verbs that have not moved yet go the older way, which `shadow` compares
with the decision; `kinds.EXECUTED` names those that have. Nothing here is imported at the start.
"""
