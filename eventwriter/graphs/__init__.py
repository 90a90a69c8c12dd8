"""Graphs for TensorBoard's Graphs page: built by hand, or from a model of any framework."""

from eventwriter.graphs.builder import GraphBuilder, Layer, Output
from eventwriter.graphs.page import for_page
from eventwriter.graphs.plot import plot_graph
from eventwriter.graphs.sources import build_graph, profile_graph

__all__ = [
    "GraphBuilder",
    "Layer",
    "Output",
    "build_graph",
    "for_page",
    "plot_graph",
    "profile_graph",
]
