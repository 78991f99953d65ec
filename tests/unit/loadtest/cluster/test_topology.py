"""Ports of clusters that live for one run."""

from loadtest.cluster.topology import Topology


def test_two_clusters_that_start_at_once_get_different_ports() -> None:
    one, other = (Topology.from_environment().on_free_ports() for _ in range(2))
    assert not one.ports().keys() & other.ports().keys()
