"""The client's own logic, against transports that answer as told."""

import concurrent.futures
import json
import pathlib
import threading

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.serving import client, transports
from tests.limits import HANGING


def answer(count):
    """What a server says about `count` images; the second used no iteration."""
    probabilities = np.tile(np.float32([0.1, 0.7, 0.2]), (count, 1))
    report = np.tile(np.float32([1.0, 0.25, 0.5]), (count, 1))
    used = np.full(count, 2, np.int32)
    if count > 1:
        report[1], used[1] = -1, 0
    return {
        "probabilities": probabilities,
        "label": probabilities.argmax(-1),
        "class_name": np.array([b"bag"] * count, object),
        "iterations_used": used,
        "self_consistency": report,
    }


class Scripted:
    """Fails with the given codes first, then answers; remembers the requests."""

    def __init__(self, *codes):
        self.codes, self.requests = list(codes), []

    def predict(self, signature, inputs, *, timeout):
        self.requests.append((signature, inputs, timeout))
        if self.codes:
            raise client.ServingError(code := self.codes.pop(0), f"it was {code}")
        return answer(len(inputs["images"]))

    def image_shape(self, *, timeout):
        return self.predict("", {"images": [0]}, timeout=timeout) and (8, 8, 1)


class ClientTest(tf.test.TestCase, parameterized.TestCase):
    def client(self, transport, **kwargs):
        self.waits = []
        return client.Client(transport, **({"batch_size": 2, "sleep": self.waits.append} | kwargs))

    def images(self, count=5, dtype="uint8"):
        return np.zeros((count, 8, 8, 1), dtype)

    def test_batches_and_answers(self):
        transport = Scripted()
        found = list(self.client(transport, timeout=7).classify(self.images()))
        self.assertEqual([len(inputs["images"]) for _, inputs, _ in transport.requests], [2, 2, 1])
        self.assertEqual({(name, timeout) for name, _, timeout in transport.requests}, {("serving_uint8", 7)})
        self.assertLen(found, 5)
        self.assertEqual(found[0], client.Prediction(1, "bag", found[0].probability, 2, True, 0.25, 0.5))
        self.assertAllClose(found[0].probability, 0.7)
        self.assertEqual(found[1], client.Prediction(1, "bag", found[0].probability, 0, None, None, None))
        json.dumps(vars(found[0]))

    def test_a_request_of_its_own(self):
        transport = Scripted()
        list(self.client(transport).classify(self.images(3), max_iterations=5, tolerance=0.1))
        list(self.client(transport).classify(self.images(3, "float32"), max_iterations=5))
        list(self.client(transport).classify(self.images(1, "float32")))
        names = [name for name, _, _ in transport.requests]
        self.assertEqual(names, ["classify_uint8"] * 2 + ["classify"] * 2 + ["serving_default"])
        inputs = transport.requests[0][1]
        self.assertAllEqual(inputs["max_iterations"], np.int32([5, 5]))
        self.assertAllEqual(inputs["tolerance"], np.float32([0.1, 0.1]))
        self.assertEqual((inputs["max_iterations"].dtype, inputs["tolerance"].dtype), (np.int32, np.float32))

    @parameterized.parameters("UNAVAILABLE", "RESOURCE_EXHAUSTED")
    def test_tries_again_with_growing_waits(self, code):
        transport = Scripted(code, code, code)
        self.assertLen(list(self.client(transport).classify(self.images(2))), 2)
        self.assertLen(self.waits, 3)
        for wait, longest in zip(self.waits, (0.25, 0.5, 1.0), strict=True):
            self.assertBetween(wait, longest / 2, longest)
        self.assertBetween(client.Retries(longest_wait=1).wait_after(20), 0.5, 1)

    def test_gives_up(self):
        transport = Scripted(*["UNAVAILABLE"] * 9)
        with self.assertRaisesRegex(client.ServingError, "gave up after 3 tries: it was UNAVAILABLE") as raised:
            list(self.client(transport, retries=client.Retries(attempts=3)).classify(self.images()))
        self.assertEqual((raised.exception.code, len(transport.requests)), ("UNAVAILABLE", 3))

    def test_a_bad_request_is_not_repeated(self):
        transport = Scripted("INVALID_ARGUMENT")
        with self.assertRaisesRegex(client.ServingError, "^it was INVALID_ARGUMENT$"):
            list(self.client(transport).classify(self.images()))
        self.assertLen(transport.requests, 1)

    def test_deadlines_are_explained(self):
        transport = Scripted("DEADLINE_EXCEEDED")
        message = "no answer for 2 images within the timeout of 3 s: the server is overloaded.*raise the timeout"
        with self.assertRaisesRegex(client.ServingError, message) as raised:
            list(self.client(transport, timeout=3).classify(self.images()))
        self.assertEqual((raised.exception.code, len(transport.requests)), ("DEADLINE_EXCEEDED", 1))

    def test_the_image_shape_is_tried_again_too(self):
        self.assertEqual(self.client(Scripted("UNAVAILABLE")).image_shape(), (8, 8, 1))

    def test_bad_arguments(self):
        for arguments, message in (
            ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
            ({"timeout": 0}, "timeout must be more than 0 seconds, got 0"),
            ({"timeout": float("nan")}, "timeout must be more than 0"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                self.client(Scripted(), **arguments)
        with self.assertRaisesRegex(ValueError, "retries want at least 1 attempt"):
            client.Retries(attempts=0)
        with self.assertRaisesRegex(ValueError, "images must be uint8, or float32 in .* got int64"):
            list(self.client(Scripted()).classify(self.images(dtype="int64")))
        with self.assertRaisesRegex(ValueError, "max_iterations must fit into 32 bits, got 2147483648"):
            list(self.client(Scripted()).classify(self.images(), max_iterations=2**31))

    def test_plain_words(self):
        message = "Graph execution error:\n\nassertion failed: [a [b, c]; got:] [2 8] [7]\n\t [[{{node Assert}}]]"
        self.assertEqual(transports.plain_words(message), "a [b, c]; got: 2 8 7")
        self.assertEqual(transports.plain_words("Servable not found\n\t [[node"), "Servable not found")


class GrpcTest(tf.test.TestCase):
    """gRPC itself, with a servicer that misbehaves in the ways a busy server does."""

    def serve(self, handle):
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
            def Predict(self, request, context):  # noqa: N802
                return handle(request, context)

        server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(server.stop, None)
        transport = transports.GrpcTransport(f"127.0.0.1:{port}", "cnnf", version=3)
        self.addCleanup(transport.close)
        return transport

    def test_busy_then_free(self):
        import grpc
        from tensorflow_serving.apis import predict_pb2

        calls = []

        def handle(request, context):
            calls.append(request.model_spec)
            if len(calls) < 3:
                context.abort(grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue is full")
            response = predict_pb2.PredictResponse()
            for name, value in answer(1).items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            return response

        asking = client.Client(self.serve(handle), retries=client.Retries(first_wait=0.01))
        (found,) = asking.classify(np.zeros((1, 8, 8, 1), np.uint8))
        self.assertEqual((found.label, found.class_name, len(calls)), (1, "bag", 3))
        self.assertEqual((calls[0].name, calls[0].version.value), ("cnnf", 3))

    def test_deadline(self):
        released = threading.Event()
        transport = self.serve(lambda request, context: released.wait(HANGING))
        with self.assertRaisesRegex(client.ServingError, "within the timeout of 0.2 s") as raised:
            list(client.Client(transport, timeout=0.2).classify(np.zeros((1, 8, 8, 1), np.uint8)))
        released.set()
        self.assertEqual(raised.exception.code, "DEADLINE_EXCEEDED")

    def test_nobody_there(self):
        for transport in (
            transports.GrpcTransport("127.0.0.1:1", "cnnf"),
            transports.RestTransport("http://127.0.0.1:1", "cnnf"),
        ):
            asking = client.Client(transport, retries=client.Retries(attempts=2, first_wait=0.01), timeout=5)
            with self.assertRaisesRegex(client.ServingError, "gave up after 2 tries: .*127.0.0.1") as raised:
                asking.image_shape()
            self.assertEqual(raised.exception.code, "UNAVAILABLE")
            transport.close()

    def test_bad_places(self):
        with self.assertRaisesRegex(ValueError, "the URL must start with http:// or https://, got 'localhost:8501'"):
            transports.RestTransport("localhost:8501", "cnnf")
        folder = self.create_tempdir().full_path
        with self.assertRaisesRegex(FileNotFoundError, "no SavedModel in .*wanted a folder that bin/export.py wrote"):
            transports.SavedModelTransport(folder)
        (pathlib.Path(folder) / "saved_model.pb").write_bytes(b"cut short")
        with self.assertRaisesRegex(ValueError, f"'{folder}' is damaged or was cut short"):
            transports.SavedModelTransport(folder)


if __name__ == "__main__":
    tf.test.main()
