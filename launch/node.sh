# The surroundings of Ray on a machine of launch/cluster-onprem.yaml, read by every login there.
export LUKASA_PORT=6379 LUKASA_HEAD_OPTIONS= LUKASA_WORKER_OPTIONS=
export RAY_TMPDIR=$HOME/.lukasa
if [ -f ~/.lukasa-node ]; then . ~/.lukasa-node; fi
export RAY_AUTH_MODE=token OMP_NUM_THREADS=1 PATH=$HOME/lukasa/.venv/bin:$PATH
mkdir -p "$RAY_TMPDIR"
ulimit -n "$(ulimit -Hn)"
