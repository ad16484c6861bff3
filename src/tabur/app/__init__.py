"""The one object an application has, in three steps: its stores, its clock, and what is written."""

from tabur.app.tabur import Tabur

__all__ = ["Tabur"]
