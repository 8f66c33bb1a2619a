"""Stands in for torch in worker processes that import it only to give it one thread, so that they start at once."""

threads = 0


def set_num_threads(number: int) -> None:
    global threads
    threads = number
