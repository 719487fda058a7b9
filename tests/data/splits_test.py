import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.data.sources import splits

COUNTS = {"train": 200, "test": 30}


class SplitsTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(
        ("train", 0, 200),
        ("train[:]", 0, 200),
        ("train[:64]", 0, 64),
        ("train[64:]", 64, 200),
        ("train[10:20]", 10, 20),
        ("train[-10:]", 190, 200),
        ("train[:-10]", 0, 190),
        ("train[25%:50%]", 50, 100),
        ("train[-25%:]", 150, 200),
        (" train[:1%] ", 0, 2),
    )
    def test_one_part(self, spec, start, stop):
        (part,) = splits.parse_split(spec, COUNTS)
        self.assertEqual((part.name, part.start, part.stop, part.count), ("train", start, stop, stop - start))

    def test_parts_keep_their_order(self):
        parts = splits.parse_split("test[:3] + train[:2]", COUNTS)
        self.assertEqual([(p.name, p.start, p.stop) for p in parts], [("test", 0, 3), ("train", 0, 2)])

    def test_percentages_round_to_the_nearest_example_and_leave_no_gap(self):
        first, second = splits.parse_split("test[:33%]+test[33%:]", COUNTS)
        self.assertEqual(first.stop, 10)
        self.assertEqual(second.start, 10)

    def test_names_of_any_kind(self):
        counts = {"my train": 5, "te+st": 6, "te": 7, "v[1:]": 8, "a ": 9, "\N{LATIN SMALL LETTER E WITH ACUTE}": 10}
        for name in counts:
            (part,) = splits.parse_split(name, counts)
            self.assertEqual(part, splits.SplitRange(name, 0, counts[name]))
            parts = splits.parse_split(f"{name}[:3] + {name}[3:]+te", counts)
            wanted = (
                splits.SplitRange(name, 0, 3),
                splits.SplitRange(name, 3, counts[name]),
                splits.SplitRange("te", 0, 7),
            )
            self.assertEqual(parts, wanted)
        self.assertEqual(splits.parse_split("e\N{COMBINING ACUTE ACCENT}", counts)[0].count, 10)
        self.assertEqual(splits.parse_split("\udcc3\udca9", counts)[0].count, 10)  # as a locale of C has it

    @parameterized.parameters(
        ("", "wanted a name"),
        (None, "wanted a name"),
        ("val", "no split is called 'val'.*test .30 examples., train .200 examples."),
        ("train[:10", "wanted NAME"),
        ("train[a:b]", "wanted NAME"),
        ("train[5]", "wanted NAME"),
        ("train+", "wanted NAME"),
        ("train[:201]", "asks for examples 0 to 201; wanted at least one, within the 200"),
        ("train[-201:]", "asks for examples -1"),
        ("train[10:10]", "asks for examples 10 to 10"),
        ("train[20:10]", "asks for examples 20 to 10"),
        ("train[:101%]", "percentage must be in"),
    )
    def test_rejects(self, spec, message):
        with self.assertRaisesRegex(ValueError, f"split: .*{message}"):
            splits.parse_split(spec, COUNTS)


if __name__ == "__main__":
    tf.test.main()
