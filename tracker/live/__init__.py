"""The live application: a page that shows every camera and everybody, with one number over all of them.

Two processes. The one that was started tracks (`tracker.live.tracking`), and keeps a second one running,
which serves the page and the API (`tracker.live.serve`). Between them is a socket: pictures go one way,
wishes the other. So a server that hangs or is killed costs tracking nothing, and is started again;
what a site keeps lies in SQLite files that both read.
"""
