"""NVIDIA FLARE's simulator: python run.py LENGTH SITES ROUNDS FOLDER. Prints one line of JSON."""

import json
import os
import sys

import nvflare
from nvflare.job_config.api import FedJob
from nvflare.private.fed.app.simulator.simulator_runner import SimulatorRunner
from vector_parts import VectorController, VectorExecutor

length, sites, rounds = (int(text) for text in sys.argv[1:4])
folder = os.path.abspath(sys.argv[4])

if __name__ == "__main__":
    out = os.path.join(folder, "times")
    job = FedJob(name="vector", min_clients=sites)
    job.to_server(VectorController(rounds, sites, length, out))
    for index in range(sites):
        job.to(VectorExecutor(length), f"site-{index + 1}", tasks=["vector"])
    job.export_job(os.path.join(folder, "jobs"))
    # Sites ask for work every two seconds by default, which would be all that is measured.
    settings = os.path.join(folder, "jobs", "vector", "app_server", "config", "config_fed_server.json")
    with open(settings) as file:
        config = json.load(file)
    config["server"] = {**config.get("server", {}), "task_request_interval": 0.05}
    with open(settings, "w") as file:
        json.dump(config, file)
    names = ",".join(f"site-{index + 1}" for index in range(sites))
    workspace = os.path.join(folder, "workspace")
    runner = SimulatorRunner(os.path.join(folder, "jobs", "vector"), workspace, clients=names, threads=sites)
    status = runner.run()
    if status != 0:
        sys.exit(f"the simulator ended with {status}")
    with open(out) as file:
        times = [float(text) for text in file.read().split()]
    print(json.dumps({"program": "NVIDIA FLARE", "version": nvflare.__version__, "secondsPerRound": times}))
