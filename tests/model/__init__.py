"""An exhaustive model of what keeps a message from being sent twice, lost, or guessed at: `python -m tests.model`.

Every interleaving, breadth first, of two workers, two batches (one of two recipients) and one single send with a
key, over: claim, send, answer, lost answer, late answer, crash, restart, take-over by age, pause, cancel, resume,
resend, mark-sent, split after 903, opt-out, purge, limits changed. A violation is told by the shortest way to it.

How it stays faithful: nothing that decides is written a second time.

- The ledger is the real one (`ledgers`): the methods of `SqliteLedger` and its store of single sends, with the SQL
  and the tables that are shipped, on a connection without files and threads. A state is put into the tables, the
  method is called, the tables are read again (`batches`, `sends`).
- Who sends is the real coroutine (`effects`, `machines`): `CampaignSender`, `SingleSender` and `OutboxWorker` over
  the real transport, its retries, its body and the outcome table. What they ask of the ledger and the network
  waits for the search; between two such effects they are deterministic, so each is a finite automaton.
- PostgreSQL is the same but for what goes by the age of a claim, since there is no lock: `ledgers` has that with
  PostgreSQL's own statements, or by the functions that both engines call.
- `conformance` holds the rest: states done anew as a whole, and one step of each kind and walks by chance in a
  SQLite file and in PostgreSQL, by the ledger's public methods.

So a mistake in a state table, in a decision, in a transaction or in its SQL changes what is searched.

What is bound: a person has each recipient sent to again once, one recipient opts out, the budget is one of two,
a worker has one batch under way (two, where it is the one runner of a file). How often a worker dies, a campaign
is paused and started, an answer is lost or its limits change is not bound. `Scope` has the bounds.

What is not in it: the gateway's word is taken for true where `OUTCOMES` takes it for that; the rate, the hours,
the daily cap, the balance and one-time codes, which decide when and whether, not whether twice; the queue of
PostgreSQL's workers, which wakes and decides nothing; whether a disk keeps what was committed.
"""
