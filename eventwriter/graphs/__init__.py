"""Graphs for TensorBoard's Graphs page: built by hand or by a source, and made fit for the page."""

from eventwriter.graphs.builder import GraphBuilder, Layer, Output
from eventwriter.graphs.page import for_page
from eventwriter.graphs.plot import plot_graph

__all__ = ["GraphBuilder", "Layer", "Output", "for_page", "plot_graph"]
