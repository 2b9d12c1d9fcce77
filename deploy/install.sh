#!/bin/sh
# Installs what a flavour of the image needs: install.sh slim|cpu|cuda PYTHON
set -eu
flavour=$1
python=$2
folder=$(dirname "$0")

pip() {
    python3 -m pip --python "$python" install -q --no-deps "$@"
}

case $flavour in
slim)
    pip --require-hashes -r "$folder/requirements.txt"
    ;;
cuda)
    pip --require-hashes -r "$folder/requirements-models.txt"
    ;;
cpu)
    # The index of packages has torch with CUDA for Linux. The build for CPUs comes from PyTorch's own index, whose
    # hashes are other ones: torch is pinned by its version alone, and everything else by its hash.
    torch=$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' "$folder/requirements-models.txt")
    pip --index-url "$TORCH_INDEX" "$torch"
    others=$(mktemp)
    awk '/^[^ ]/ { keep = !/^(torch|triton|cuda-|nvidia-)/ } keep' "$folder/requirements-models.txt" > "$others"
    pip --require-hashes -r "$others"
    rm "$others"
    ;;
*)
    echo "FLAVOUR must be slim, cpu or cuda, not $flavour" >&2
    exit 1
    ;;
esac

# The tests of libraries are a tenth of what they bring.
find "$(dirname "$python")/../lib" -type d -path '*/site-packages/*/tests' -prune -exec rm -rf {} +
