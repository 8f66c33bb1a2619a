"""Made-up recordings of people who stand up and bend, guarded or not; no evidence for any claim.

A recording is one movement of three seconds at 60 Hz. With joint j of J, time t, the person's tempo and range, and a
push that rises from 0 to 1 and back between the onset and the end, a damped trajectory (critically damped, second
order) follows the push: that is the joint's angle up to gain and offset of the person. Its energy is the squared
derivative. Each muscle is rectified noise times its activation, a part of the push's speed and of the angle.

Guarded movement is slower, has less range in the trunk (the first third of the joints), tenses both pairs of back
muscles together, and stops for a moment at a random time. Which sensors go together decides, while the onset is random:
a network that pools over time and keeps the sensors apart is at an advantage by design.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cenote.errors import ArgumentError
from cenote.lab.data.sensors import Recording, Sensor, SensorRecordings

RATE, FRAMES, PUSH, MUSCLES = 60.0, 180, 90, 4
TASKS = {"protective": ("not protective", "protective")}


def load(
    root: Path | None = None,
    *,
    n_subjects: int = 24,
    n_sensors: int = 30,
    severity: float = 1.0,
    onset_jitter: float = 0.5,
    noise: float = 0.1,
    recordings: int = 8,
    seed: int = 0,
) -> SensorRecordings:
    """Draw the recordings; equal arguments draw equal ones.

    Args:
        root: Not used; nothing is read.
        n_subjects: Number of people, each with gains, offsets, tempo and range of their own.
        n_sensors: Four muscles, and an angle and an energy for each joint: an even number from 6.
        severity: 0 makes guarded movements like the others; 1 takes 30 % of the trunk's range and of the tempo.
        onset_jitter: Spread of the onset as a part of the recording, from 0 to 0.5.
        noise: Standard deviation of the noise of the angles, in units of their range.
        recordings: Recordings of each person; every second one is guarded.
        seed: Decides everything random.

    Raises:
        ArgumentError: If an argument is outside of its range.
    """
    for name, value, allowed, fits in (
        ("n_subjects", n_subjects, "2 or more", n_subjects >= 2),
        ("n_sensors", n_sensors, "an even number from 6", n_sensors >= 6 and n_sensors % 2 == 0),
        ("severity", severity, "0 to 2", 0 <= severity <= 2),
        ("onset_jitter", onset_jitter, "0 to 0.5", 0 <= onset_jitter <= 0.5),
        ("noise", noise, "0 or more", noise >= 0),
        ("recordings", recordings, "2 or more", recordings >= 2),
    ):
        if not fits:
            raise ArgumentError(f"{name}: got {value}, allowed is {allowed}")
    joints = (n_sensors - MUSCLES) // 2
    drawn = []
    for number in range(n_subjects):
        draws = _Draws(seed, number)
        person = _Person(draws, joints)
        for index in range(recordings):
            guarded = index % 2
            values = person.move(draws, guarded * severity, onset_jitter, noise)
            labels = {"protective": np.full(FRAMES, guarded, np.int64)}
            drawn.append(Recording(f"S{number:02d} {index}", f"S{number:02d}", values, labels))
    return SensorRecordings(
        "guarded-motion", sensors(joints), RATE, TASKS, tuple(drawn), "Made-up recordings, not of people."
    )


def sensors(joints: int) -> tuple[Sensor, ...]:
    """Return the columns for a number of joints: angles, energies, then four back muscles."""
    return (
        *(Sensor(f"angle {joint}", "angle", f"joint {joint}") for joint in range(1, joints + 1)),
        *(Sensor(f"energy {joint}", "energy", f"joint {joint}") for joint in range(1, joints + 1)),
        *(Sensor(f"back muscle {muscle}", "emg", f"back muscle {muscle}") for muscle in range(1, MUSCLES + 1)),
    )


class _Draws:
    """Uniform and normal numbers from the one stream numpy promises to keep."""

    def __init__(self, seed: int, number: int) -> None:
        self._source = np.random.PCG64(np.random.SeedSequence([seed, number]))

    def uniform(self, low: float, high: float, count: int) -> NDArray[np.float64]:
        part: NDArray[np.float64] = low + (high - low) * (self._source.random_raw(count) / 2**64)
        return part

    def normal(self, *shape: int) -> NDArray[np.float64]:
        count = int(np.prod(shape))
        size = self.uniform(2.0**-64, 1.0, count)
        turn = self.uniform(0.0, 2 * np.pi, count)
        drawn: NDArray[np.float64] = (np.sqrt(-2 * np.log(size)) * np.cos(turn)).reshape(shape)
        return drawn


class _Person:
    """Gains and offsets of a person's sensors, tempo and range."""

    def __init__(self, draws: _Draws, joints: int) -> None:
        self.gain = draws.uniform(30, 60, joints)
        self.offset = draws.uniform(-15, 15, joints)
        self.share = draws.uniform(0.6, 1.0, joints)
        self.strength = draws.uniform(0.5, 1.5, MUSCLES)
        self.tempo = float(draws.uniform(0.8, 1.2, 1)[0])

    def move(self, draws: _Draws, guarding: float, onset_jitter: float, noise: float) -> NDArray[np.float32]:
        """Return one movement, (T, S)."""
        onset = (0.1 + float(draws.uniform(0, onset_jitter, 1)[0])) * FRAMES
        halt = onset + float(draws.uniform(0.1, 0.3, 1)[0]) * FRAMES
        speed = self.tempo / (1 + 0.4 * guarding)
        position, velocity = _follow(onset, halt, speed, pause=0.1 * guarding * FRAMES)
        share = self.share.copy()
        share[: max(1, len(share) // 3)] *= 1 - 0.3 * guarding
        angles = position[:, None] * share + noise * draws.normal(FRAMES, len(share))
        energies = np.gradient(angles, axis=0) ** 2
        pairs = np.array([1.0, 1.0, 0.3, 0.3]) + guarding * np.array([0.2, 0.2, 0.9, 0.9])
        activation = 0.05 + np.abs(velocity)[:, None] * pairs + 0.2 * guarding * position[:, None]
        muscles = np.abs(draws.normal(FRAMES, MUSCLES)) * activation * self.strength
        columns = [self.offset + self.gain * angles, self.gain**2 * energies, muscles]
        return np.concatenate(columns, axis=1).astype(np.float32)


def _follow(
    onset: float, halt: float, speed: float, *, pause: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Position and velocity of a critically damped follower of a push of 90 frames that stands still for a while."""
    time, pushed = 0.0, np.zeros(FRAMES)
    for frame in range(FRAMES):
        moving = frame >= onset and not halt <= frame < halt + pause
        time += speed * moving
        pushed[frame] = np.sin(np.pi * min(time / PUSH, 1.0))
    position, velocity, stiffness = 0.0, 0.0, 0.25
    path = np.zeros((FRAMES, 2))
    for frame in range(FRAMES):
        velocity += stiffness**2 * (pushed[frame] - position) - 2 * stiffness * velocity
        position += velocity
        path[frame] = position, 10 * velocity
    return path[:, 0], path[:, 1]
