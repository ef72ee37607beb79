"""Tries to break Lukasa: kills, full disks, damaged files, wrong words, two processes at once, clocks, open ports.

``python -m tests.reliability PART ... --count N --seed N`` runs parts by hand; a short form of each is a test.
"""
