#!/bin/sh
# What a GPU says of this project in nine minutes, on a machine with Python, JAX, PyTorch and NumPy, and no network.
#
#   tools/gpu_check.sh collect WHEELS [--python-version=3.12 --platform=manylinux_2_28_x86_64]    where the network is
#   tools/gpu_check.sh WHEELS --output=runs/gpu --data=cifar10.npz --reference=CNNF               where the GPU is
#
# WHEELS is a folder; what follows goes to pip, or to tools/gpu_check.py (--help); $PYTHON is the Python, python3 by
# default. Paths are as seen from where it is called. docs/performance.md has the rest.
set -eu
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }
case ${1-} in
    -h | --help) usage && exit ;;
    "" | -*) usage >&2 && exit 2 ;;
esac
python=${PYTHON:-python3}
# Keras and what it and cnnf_tf need; JAX brings NumPy, SciPy and ml_dtypes.
packages="keras absl-py rich markdown-it-py mdurl pygments namex h5py optree packaging typing_extensions filelock wrapt"
if [ "${1-}" = collect ]; then
    case ${2-} in "" | -*) usage >&2 && exit 2 ;; esac
    wheels=$2
    shift 2
    exec "$python" -m pip download --only-binary=:all: --no-deps --dest "$wheels" "$@" $packages
fi
wheels=$1
shift
installed=$(mktemp -d)
trap 'rm -rf "$installed"' EXIT
"$python" -m pip install --quiet --no-index --find-links "$wheels" --no-deps --target "$installed" $packages
root=$(cd "$(dirname "$0")/.." && pwd)
PYTHONPATH=$root:$installed "$python" "$root/tools/gpu_check.py" "$@"
