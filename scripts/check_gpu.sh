#!/usr/bin/env bash
# Does a GPU hold the whole workshop? In some minutes, without a network: answers and speed beside the CPU's, the tests
# that compute, and the notebooks that train. Ends with status 0 if all of it holds.
#
#     bash scripts/check_gpu.sh            # or, where only torch is installed: bash scripts/check_gpu.sh --bare
#
# --bare leaves out the notebooks and the tests of the loop, which need IPython, ipykernel and the whole install; the
# rest needs beside torch: monai, nibabel, nilearn, pooch, safetensors, scipy, pandas, scikit-image, pytest.
set -u
cd "$(dirname "$0")/.."
export PYTHONPATH=src:scripts${PYTHONPATH:+:$PYTHONPATH}
tests="tests/synthcohort tests/test_networks_unet.py tests/test_networks_age.py tests/test_compute.py \
    tests/test_scripts_wide_tumors.py"
failed=0

python3 scripts/check_gpu.py || failed=1
if [ "${1:-}" = --bare ]; then
    python3 -m pytest -q -o addopts= -p no:cacheprovider $tests --deselect \
        tests/synthcohort/test_files.py::test_fastmonai_reads_brains_and_heads || failed=1
else
    python3 -m pytest -q -p no:cacheprovider $tests tests/test_training.py tests/test_tumor_segmentation.py || failed=1
    presimal run 02 04 06 07 09 || failed=1
fi
exit $failed
