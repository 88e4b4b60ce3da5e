"""Says in a sentence what became of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets.postgres.explain.rows import MOST_ROWS

if TYPE_CHECKING:
    from etl_assets.explain.row import RowStory

_WAITING: Final = {"open": "waits for a person", "parked": "waits for its parent"}


def summarise(story: RowStory) -> str:
    """Return what became of a key, as a sentence."""
    if story.has_table is None:
        return f"This role may not read {story.table}, so that it is not known whether the key has a row."
    return _of_rows(story) if story.versions else _of_none(story)


def _of_rows(story: RowStory) -> str:
    count, row = len(story.versions), story.versions[-1].row
    or_more = " or more" if count == MOST_ROWS else ""
    text = "It has a row" if count == 1 else f"It has {count:,} rows{or_more}"
    if story.has_versions:
        versions = "1 version" if count == 1 else f"{count:,} versions{or_more}"
        text = f"It has {versions}, {'none of them current' if 'valid_to' in row.kept else 'the last one current'}"
    elif "deleted_at" in row.kept:
        text = f"It has a row that is marked as deleted since {row.kept['deleted_at']}"
    mark = (row.delivery_id, row.record_no)
    corrected = any(r.correction_counts and (r.delivery_id, r.record_no) == mark for r in story.rejected)
    contents = "the contents of the last one are" if count > 1 else "its contents are"
    as_corrected = ", as a person corrected it" if corrected else ""
    return f"{text}; {contents} from record {row.record_no} of delivery {row.delivery_id}{as_corrected}."


def _of_none(story: RowStory) -> str:
    waiting = next((record for record in story.rejected if record.status in _WAITING), None)
    if waiting is not None:
        broken = f"record {waiting.record_no} of delivery {waiting.delivery_id} broke {', '.join(waiting.rules)}"
        return f"It has no row: {broken}, and {_WAITING[waiting.status]}."
    if story.deletions:
        return f"Its row was deleted: delivery {story.deletions[0].deleted_by} no longer has the key."
    if story.is_expired:
        return f"It has no row: the table keeps those from {story.kept_from} on."
    if story.rejected:
        last = story.rejected[0]
        broken = f"record {last.record_no} of delivery {last.delivery_id} broke {', '.join(last.rules)}"
        return f"It has no row: {broken}, and is {last.status}."
    if story.search.found:
        last_found = story.search.found[0]
        return (
            f"It has no row, and record {last_found.record_no} of delivery {last_found.delivery_id}, which is "
            f"{last_found.status}, has the key. See `etl-assets explain delivery {last_found.delivery_id}`."
        )
    return _of_unseen(story)


def _of_unseen(story: RowStory) -> str:
    text = "It has no row" if story.has_table else f"{story.table} is not there as declared"
    searched = story.search
    if not searched.of:
        return f"{text}, and nothing was delivered yet that may have the key."
    if searched.is_whole:
        deliveries = "the only delivery" if searched.of == 1 else f"any of {searched.of:,} deliveries"
        if searched.redacted:
            records = "1 record was" if searched.redacted == 1 else f"{searched.redacted:,} records were"
            return f"{text}. The key is not in {deliveries}, from which {records} redacted."
        return f"{text}. The key was never delivered: it is not in {deliveries}."
    newest = f"{text}. Of {searched.of:,} deliveries only the newest"
    if searched.searched == 1:
        return f"{newest} was searched: it does not have the key."
    return f"{newest} {searched.searched:,} were searched: none has the key."
