"""The client and plain requests against a server on loopback: the official stubs, and TensorFlow Serving if there.

CNNF_TF_STRESS_SECONDS=30 makes the stress test as long as a release deserves; it is 3 seconds by default.
"""

import functools
import json
import os
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.serving import client, transports
from tests.limits import HANGING
from tests.models import fixtures_models
from tests.serving import exported, server

STRESS_SECONDS = float(os.environ.get("CNNF_TF_STRESS_SECONDS", "3"))
CLIENTS = 8
MEGABYTE = 2**20
Client = functools.partial(client.Client, timeout=HANGING)


@parameterized.parameters(*((kind,) for kind in server.KINDS))
class ServerTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.servers = {}
        for kind in server.KINDS:
            context = server.running(exported.base(), exported.NAME, kind)
            cls.servers[kind] = context.__enter__()
            cls.addClassCleanup(context.__exit__, None, None, None)
        cls.pixels = exported.pixels(12)
        floats = tf.constant(cls.pixels, tf.float32) / 255
        cls.floats = floats.numpy()
        cls.probabilities = tf.nn.softmax(exported.model()(floats)).numpy()

    def transport(self, kind, way="grpc", name=exported.NAME, **kwargs):
        running = self.servers[kind]
        if way == "grpc":
            transport = transports.GrpcTransport(running.grpc_address, name, **kwargs)
        else:
            transport = transports.RestTransport(running.rest_url, name, **kwargs)
        self.addCleanup(transport.close)
        return transport

    def check(self, found, rows):
        for i, prediction in zip(rows, found, strict=True):
            label = self.probabilities[i].argmax()
            self.assertEqual((prediction.label, prediction.class_name), (label, exported.CLASS_NAMES[label]))
            self.assertAlmostEqual(prediction.probability, self.probabilities[i, label], delta=1e-4)
            self.assertEqual(prediction.iterations_used, 2)

    def post(self, kind, body):
        url = f"{self.servers[kind].rest_url}/v1/models/{exported.NAME}:predict"
        return json.load(urllib.request.urlopen(url, json.dumps(body).encode(), timeout=HANGING))

    def test_both_ways_answer_as_the_model_does(self, kind):
        for way in ("grpc", "rest"):
            asking = Client(self.transport(kind, way), batch_size=5)
            self.assertEqual(asking.image_shape(), fixtures_models.IMAGE_SHAPE)
            self.check(asking.classify(self.pixels), range(12))
            self.check(asking.classify(self.floats), range(12))
            found = list(asking.classify(self.pixels[:6], max_iterations=4, tolerance=0.2))
            self.assertBetween(max(answer.iterations_used for answer in found), 2, 4)
            self.assertIsNone(next(asking.classify(self.pixels[:1], max_iterations=0)).feature_residual)
            self.check(Client(self.transport(kind, way, version=1)).classify(self.pixels[:1]), [0])

    def test_all_signatures_over_both_ways(self, kind):
        ways = [self.transport(kind, way) for way in ("grpc", "rest")]
        for signature in ("serving_default", "serving_uint8", "classify_uint8", "trajectory"):
            inputs = {"images": self.pixels[:2] if signature.endswith("uint8") else self.floats[:2]}
            if signature == "classify_uint8":
                inputs |= {"max_iterations": np.int32([1, 4]), "tolerance": np.float32([0, 0.1])}
            ours, theirs = (way.predict(signature, inputs, timeout=HANGING) for way in ways)
            self.assertEqual(set(ours), set(theirs))
            self.assertAllClose(ours["logits"], theirs["logits"], rtol=1e-5, atol=1e-5)

    def test_rest_row_format(self, kind):
        """What docs/serving.md shows with curl."""
        images = self.floats[:2].tolist()
        answers = self.post(kind, {"instances": images})["predictions"]
        self.assertAllClose([answer["probabilities"] for answer in answers], self.probabilities[:2], rtol=1e-4)
        rows = [{"images": image, "max_iterations": 2, "tolerance": 0.0} for image in images]
        answers = self.post(kind, {"signature_name": "classify", "instances": rows})["predictions"]
        self.assertAllClose([answer["probabilities"] for answer in answers], self.probabilities[:2], rtol=1e-4)
        self.assertIn(answers[0]["class_name"], exported.CLASS_NAMES)
        pictures = self.post(kind, {"signature_name": "reconstruct", "instances": images})["predictions"]
        self.assertEqual(np.shape(pictures), (2, 2, *fixtures_models.IMAGE_SHAPE))

    def test_bad_requests(self, kind):
        for way in ("grpc", "rest"):
            transport, asking = self.transport(kind, way), Client(self.transport(kind, way), batch_size=99)
            for images, message in (
                (self.floats[..., 0], r"images must have the shape \[batch, 8, 8, 1\]; got the shape: 12 8 8$"),
                (self.floats * 2, r"pixels must be floats in \[0, 1\]"),
                (self.floats * np.float32("nan"), r"pixels must be floats in \[0, 1\]"),
                (np.zeros((10_000, 8, 8, 1), np.float32), "at most 20 images .fixed at export.; got: 10000$"),
            ):
                with self.assertRaisesRegex(client.ServingError, message) as raised:
                    transport.predict("serving_default", {"images": images}, timeout=HANGING)
                self.assertEqual(raised.exception.code, "INVALID_ARGUMENT")
                self.check(asking.classify(self.pixels[:2]), [0, 1])
            for most in (5, 2**31 - 1, -1):
                with self.assertRaisesRegex(client.ServingError, r"max_iterations must be in \[0, 4\].*export"):
                    list(asking.classify(self.pixels, max_iterations=most))
            with self.assertRaisesRegex(client.ServingError, "INVALID_ARGUMENT"):
                transport.predict("serving_default", {"pictures": self.floats}, timeout=HANGING)
            with self.assertRaises(client.ServingError):
                transport.predict("no_such_signature", {"images": self.floats}, timeout=HANGING)
            for other in ({"name": "other"}, {"version": 7}):
                with self.assertRaisesRegex(client.ServingError, "NOT_FOUND.*Servable not found"):
                    list(Client(self.transport(kind, way, **other)).classify(self.pixels))
            self.check(asking.classify(self.pixels[:2]), [0, 1])
        with self.assertRaises(urllib.error.HTTPError) as raised:
            self.post(kind, {"instances": [[1]]})
        self.assertEqual(raised.exception.code, 400)
        raised.exception.close()
        self.assertIsNone(self.servers[kind].process.poll())

    def test_empty_batch(self, kind):
        found = self.transport(kind).predict("serving_default", {"images": self.floats[:0]}, timeout=HANGING)
        self.assertEqual((found["logits"].shape, found["label"].shape), ((0, 3), (0,)))
        self.assertEmpty(list(Client(self.transport(kind)).classify(self.pixels[:0])))

    def test_stress(self, kind):
        """Eight clients at once, bad requests among good ones: no wrong answer, no crash, memory flat."""
        running, failures, counts = self.servers[kind], [], [0] * CLIENTS
        stop = threading.Event()

        def work(index):
            transport = self.transport(kind, "rest" if index == 0 else "grpc")
            random = np.random.default_rng(index)
            try:
                while not (stop.is_set() and counts[index]):
                    rows = random.integers(0, 12, random.integers(1, 10))
                    images = (self.pixels, self.floats)[random.integers(2)][rows]
                    most = (None, 2)[random.integers(2)]
                    self.check(
                        Client(transport, batch_size=4).classify(images, max_iterations=most),
                        rows,
                    )
                    counts[index] += len(rows)
                    if random.random() < 0.2:
                        with self.assertRaisesRegex(client.ServingError, "INVALID_ARGUMENT"):
                            transport.predict("serving_default", {"images": self.floats[0, 0]}, timeout=HANGING)
            except BaseException as error:  # noqa: BLE001 - of a thread; the test looks at it
                failures.append(error)

        threads = [threading.Thread(target=work, args=(index,)) for index in range(CLIENTS)]
        for thread in threads:
            thread.start()
        time.sleep(STRESS_SECONDS / 3)
        early = running.resident_bytes()
        time.sleep(STRESS_SECONDS * 2 / 3)
        late = running.resident_bytes()
        stop.set()
        for thread in threads:
            thread.join()
        print(f"{kind}: {sum(counts)} images in {STRESS_SECONDS} s; {early / MEGABYTE:.0f}, {late / MEGABYTE:.0f} MB")
        self.assertEqual(failures, [])
        self.assertGreater(min(counts), 0)
        self.assertIsNone(running.process.poll())
        # The first seconds still fill the allocator's arenas, one for each thread.
        self.assertLess(late - early, (100 if STRESS_SECONDS < 10 else 30) * MEGABYTE)


if __name__ == "__main__":
    tf.test.main()
