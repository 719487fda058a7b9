"""Turns: one thread, preparations between visitors, and only the newest of many wishes."""

import asyncio
import threading
import unittest

from cnnf_tf.experiments.playground.work import Newest, Worker


class WorkTest(unittest.IsolatedAsyncioTestCase):
    async def test_one_thread_prepares_and_works(self):
        threads, gate = [], threading.Event()

        def part():
            gate.wait(60)
            threads.append(threading.get_ident())

        worker = Worker(iter([("the first", part), ("the second", part)]))
        self.addCleanup(worker.close)
        gate.set()
        self.assertEqual(await worker.run(threading.get_ident), threads[0])
        while worker.preparing:
            await asyncio.sleep(0.01)
        self.assertEqual(len(set(threads)), 1)
        self.assertEqual(len(threads), 2)

    async def test_errors_come_to_who_asked(self):
        def fail():
            raise ValueError("no")

        worker = Worker(iter([("a part", fail)]))
        self.addCleanup(worker.close)
        with self.assertRaisesRegex(ValueError, "no"):
            await worker.run(fail)
        self.assertEqual(worker.preparing, "")

    async def test_close_drops_what_waits(self):
        gate, done = threading.Event(), []
        worker = Worker(iter([("a part", lambda: gate.wait(60)), ("another", lambda: done.append(1))]))
        waiting = asyncio.ensure_future(worker.run(lambda: done.append(2)))
        await asyncio.sleep(0)
        gate.set()
        worker.close()
        await asyncio.wait([waiting])
        self.assertNotIn(1, done)

    async def test_newest(self):
        value, seen = 0, []

        async def action():
            found = value
            await asyncio.sleep(0.01)
            seen.append(found)

        newest = Newest(action)
        calls = []
        for value in range(10):  # noqa: B007 - what the action reads
            calls.append(asyncio.ensure_future(newest()))
            await asyncio.sleep(0)
        await asyncio.gather(*calls)
        self.assertEqual(seen, [0, 9])
        value = 20
        await newest()
        self.assertEqual(seen, [0, 9, 20])

    async def test_newest_goes_on_after_an_error(self):
        faults = [True, False]

        async def action():
            if faults.pop(0):
                raise ValueError("no")

        newest = Newest(action)
        with self.assertRaises(ValueError):
            await newest()
        await newest()
        self.assertEqual(faults, [])


if __name__ == "__main__":
    unittest.main()
