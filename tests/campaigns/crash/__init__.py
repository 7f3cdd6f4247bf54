"""The crash harness: a real gateway is killed thousands of times while it buys, and then orders are counted.

    python -m tests.campaigns.crash --kills 1000        kill, settle, count; the last line is one JSON object
    python -m tests.campaigns.crash --list              every named fault point

Everything is real: the gateway is a process with page, socket and database files, the suppliers are HTTP servers in a
process of their own that outlives the kills, people act through the control socket. Only plant time is compressed. The
suppliers misbehave at random in all three kinds that there are: one knows keys again, one only finds orders by our
reference and late, one does neither. After a season of kills everything settles, with the suppliers behaving and the
people truthful; then what the suppliers hold is counted against what the database and its audit log say.

    nursery   the preloaded parent that children are forked from
    child     the gateway, with fault points around its transactions and its suppliers' calls
    sellers   the suppliers of one season
    people    who approve, receive, fit, and find out what only a person can
    naive     a buyer without intent and key, killed likewise: the control, which must buy twice
    counting  what is a duplicate, a loss, an unreserved order; pure
    season    kills, settles and counts one data directory
    campaign  adds seasons up, over runs
"""
