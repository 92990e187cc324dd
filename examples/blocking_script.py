"""A synchronous script: the container runs in a thread of its own, and any thread logs to it."""

from concurrent.futures import ThreadPoolExecutor

import fapilog


def convert(log: fapilog.BlockingLogger, number: int) -> int:
    try:
        result = 100 // (number - 3)
    except ZeroDivisionError:
        log.exception("cannot convert", number=number)
        return 0
    log.info("converted", number=number, result=result)
    return result


def main() -> None:
    with fapilog.blocking_container({"source": "converter"}) as log:
        with ThreadPoolExecutor(max_workers=4) as pool:
            total = sum(pool.map(lambda number: convert(log, number), range(10)))
        log.info("done", total=total)
    print(log.container.report)


if __name__ == "__main__":
    main()
