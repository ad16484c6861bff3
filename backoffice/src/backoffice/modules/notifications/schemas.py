"""The texts of notifications, by code."""

from __future__ import annotations

from backoffice.kernel.text import N_

TEXTS = {
    "import_completed": N_(
        "The list %(file)s was imported: %(imported)s new, %(updated)s updated."
    ),
    "import_completed_with_rejected": N_(
        "The list %(file)s was imported: %(imported)s new, %(updated)s updated. "
        "Rows to correct: %(rejected)s."
    ),
    "import_failed": N_("The list %(file)s could not be imported. Open it to see why."),
}
