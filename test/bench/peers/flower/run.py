"""Flower's SuperLink and SuperNodes over gRPC on loopback: python run.py LENGTH SITES ROUNDS FOLDER [secure]. Prints one line of JSON."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import flwr

length, sites, rounds = (int(text) for text in sys.argv[1:4])
folder = os.path.abspath(sys.argv[4])
secure = "secure" in sys.argv[5:]
TIMEOUT_S = 150


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def main() -> None:
    # So that the processes end with this one, however it ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.makedirs(folder, exist_ok=True)
    tools = os.path.dirname(sys.executable)
    out = os.path.join(folder, "times")
    env = {
        **os.environ,
        "PATH": tools + os.pathsep + os.environ["PATH"],
        "FLWR_HOME": os.path.join(folder, "home"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
    }
    os.makedirs(env["FLWR_HOME"], exist_ok=True)
    control, server_io, fleet = (f"127.0.0.1:{free_port()}" for _ in range(3))
    with open(os.path.join(env["FLWR_HOME"], "config.toml"), "w") as file:
        file.write(f'[superlink]\ndefault = "bench"\n\n[superlink.bench]\naddress = "{control}"\ninsecure = true\n')
    started = []

    def start(name: str, *options: str) -> None:
        log = open(os.path.join(folder, f"{len(started)}-{name}.log"), "w")
        started.append(subprocess.Popen([os.path.join(tools, name), "--insecure", *options], stdout=log, stderr=log, env=env))

    try:
        addresses = ["--control-api-address", control, "--serverappio-api-address", server_io]
        start("flower-superlink", *addresses, "--fleet-api-address", fleet)
        time.sleep(3)
        for _ in range(sites):
            start("flower-supernode", "--superlink", fleet, "--clientappio-api-address", f"127.0.0.1:{free_port()}")
        app = os.path.join(os.path.dirname(os.path.abspath(__file__)), "app")
        config = f'length={length} sites={sites} rounds={rounds} secure={str(secure).lower()} out="{out}"'
        told = subprocess.run(
            [os.path.join(tools, "flwr"), "run", app, "bench", "--run-config", config, "--stream"],
            env=env, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )
        if told.returncode != 0:
            sys.exit(f"flwr run failed: {told.stdout}{told.stderr}")
        if not os.path.exists(out):
            sys.exit(f"no result: {told.stdout[-3000:]}")
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
    with open(out) as file:
        times = [float(text) for text in file.read().split()]
    print(json.dumps({"program": "Flower", "version": flwr.__version__, "secondsPerRound": times}))


main()
