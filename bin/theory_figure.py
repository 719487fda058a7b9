"""Draws what one AdaReLU unit does under each rule, for g > 0, g = 0 and g < 0: the figure of docs/theory.md.

Example:
  python bin/theory_figure.py
  python bin/theory_figure.py --output=/tmp/ada_relu_rules.png

Every line is computed by the layer itself. The grey line is the exact maximiser: f where f * g > 0, else 0 (where
g = 0 every choice is a maximiser, and ReLU is shown).
"""

import _app

_OUTPUT = _app.define_output("PNG file to write.", default="docs/figures/ada_relu_rules.png", suffix=".png")

_SIGNALS = {"g > 0": 1.0, "g = 0": 0.0, "g < 0": -1.0}


def main() -> None:
    _app.start_tensorflow()
    import numpy as np

    from cnnf_tf.evaluation.figures import save_png
    from cnnf_tf.layers import AdaReLU
    from cnnf_tf.layers.ada_relu import RULES
    from cnnf_tf.utils.plotting import new_figure

    features = np.linspace(-1, 1, 201, dtype=np.float32)[:, None]
    figure = new_figure(7.2, 6.4)
    axes = figure.subplots(len(RULES), len(_SIGNALS), sharex=True, sharey=True)
    for row, rule in enumerate(RULES):
        layer = AdaReLU(rule=rule, use_bias=False)
        for axis, (title, g) in zip(axes[row], _SIGNALS.items(), strict=True):
            output, _ = layer(features, np.full_like(features, g))
            best = features * (features < 0 if g < 0 else features > 0)
            right = np.array_equal(output, best)
            axis.axhline(0, color="0.85", linewidth=0.8)
            axis.axvline(0, color="0.85", linewidth=0.8)
            axis.plot(features, best, color="0.65", linewidth=5, label="maximiser")
            axis.plot(
                features, output, color="tab:blue" if right or g == 0 else "tab:red", linewidth=1.8, label="layer"
            )
            axis.set_aspect("equal")
            if row == 0:
                axis.set_title(title)
        axes[row, 0].set_ylabel(f'rule "{rule}"\noutput')
    for axis in axes[-1]:
        axis.set_xlabel("f")
    axes[0, 0].legend(loc="lower right", fontsize=8, frameon=False)
    figure.suptitle("AdaReLU, one unit: its output for feature f and signal g (red: not the maximiser)", fontsize=10)
    save_png(figure, _OUTPUT.value)
    print(f"wrote {_OUTPUT.value}")


if __name__ == "__main__":
    _app.run(main)
