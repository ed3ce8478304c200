# Made by `make generate` from generator/supervisor/group_ray_nodes.py; change that file.
"""Print how many nodes Ray counts as alive; a program of its own, because Ray's client may hang for minutes."""

import ray

if __name__ == "__main__":
    ray.init(address="auto", logging_level="ERROR", log_to_driver=False)
    print(sum(node["Alive"] for node in ray.nodes()))
