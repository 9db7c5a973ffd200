"""One decision for every change of an application: look, decide, write.

    intent (journal) + observed (cluster) -> decide -> apply | wait | verified | restore | ended

`decide` is pure and is called after every observation; an error is an observation. `intent` holds what outlives a
process, `observed` what is there now. `observe` builds an observation with few requests. Until the verbs use it,
`shadow` runs it beside the older way and reports where the two differ. Nothing here is imported at the start.
"""
