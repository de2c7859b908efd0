"""A world of cameras and people with known identities: videos, ground truth, calibration, detections."""

from tracker.simulate.command import main
from tracker.simulate.config import DetectionNoise, SimulationConfig
from tracker.simulate.simulation import simulate

__all__ = ["DetectionNoise", "SimulationConfig", "main", "simulate"]
