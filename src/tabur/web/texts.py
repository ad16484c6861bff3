"""The sentences that an API client may show to its user, in the languages we write ourselves."""

from __future__ import annotations

ENGLISH = {
    "accepted": "Accepted. Its state is at check_url.",
    "not_found": "There is no such job, or it is not yours.",
    "link_expired": "This link has expired. Sign in, or ask for a new one.",
    "cancelled": "The job was cancelled.",
    "cancelling": "The job was asked to stop.",
    "finished": "The job has already finished.",
    "retried": "The job will run again.",
    "retry_forbidden": "This job cannot be run again from here.",
    "not_failed": "Only a failed job can be run again.",
    "cross_site": (
        "Requests that change something must come from this site's own pages, or carry an "
        "X-Requested-With header or an Authorization token."
    ),
    "method": "This address does not answer that method.",
    "too_many_streams": "Too many pages are listening. Ask again for the state instead.",
    "unavailable": "The state cannot be read right now. Please try again shortly.",
    "broken": "Something went wrong on our side.",
    "failed": "The job could not be completed. If you ask for help, name it: {id}.",
}

ARABIC = {
    "accepted": "قُبل الطلب. تجد حالته في check_url.",
    "not_found": "لا توجد مهمة بهذا الرقم، أو أنها ليست لك.",
    "link_expired": "انتهت صلاحية هذا الرابط. سجّل الدخول أو اطلب رابطًا جديدًا.",
    "cancelled": "أُلغيت المهمة.",
    "cancelling": "طُلب إيقاف المهمة.",
    "finished": "انتهت المهمة من قبل.",
    "retried": "سيُعاد تنفيذ المهمة.",
    "retry_forbidden": "لا يمكن إعادة تنفيذ هذه المهمة من هنا.",
    "not_failed": "لا يُعاد إلا تنفيذ مهمة فشلت.",
    "cross_site": ENGLISH["cross_site"],  # read by programmers
    "method": ENGLISH["method"],
    "too_many_streams": ENGLISH["too_many_streams"],
    "unavailable": "تعذّرت قراءة الحالة الآن. حاول مجددًا بعد قليل.",
    "broken": "حدث خطأ من جهتنا.",
    "failed": "تعذّر إكمال المهمة. عند طلب المساعدة اذكر رقمها: {id}.",
}

_LANGUAGES = {"en": ENGLISH, "ar": ARABIC}


def language(accept_language: str | None, locale: str | None = None) -> str:
    """The language to answer in: what the client asks for, else the job's own, else English."""
    wanted: list[tuple[float, int, str]] = []
    for position, part in enumerate((accept_language or "").split(",")[:20]):
        tag, _, parameters = part.partition(";")
        quality = parameters.strip().removeprefix("q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            weight = 0.0
        if weight > 0:
            wanted.append((-weight, position, tag))
    for tag in (*(tag for _, _, tag in sorted(wanted)), locale or ""):
        primary = tag.strip().replace("_", "-").partition("-")[0].lower()
        if primary in _LANGUAGES:
            return primary
    return "en"


def text(key: str, lang: str) -> str:
    return _LANGUAGES.get(lang, ENGLISH)[key]
