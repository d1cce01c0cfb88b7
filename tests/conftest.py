"""What holds for every test: Ctrl-C means what it means to a user, also where tests were started in the background."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script's background job ignores it, and so would every program that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
