

def _rows_near(
    lake: Snapshot, declaration: ModelDeclaration, champion: Version, previous: Version, made: pa.Table
) -> DecisionRows:
    """The training set's rows around these decisions, with what both versions take."""
    decided = made["decision_at"].to_numpy()
    first, last = from_datetime64(decided.min()), from_datetime64(decided.max())
    published = lake.columns(declaration.training_set)
    own = [name for name in champion.columns if name in published]
    parts = lake.parts_between(declaration.training_set, first, last)
    return read_rows(lake, declaration, (*own, *previous.columns), parts or None)


def _changed(
    registry: Registry, declaration: ModelDeclaration, champion: Version, rows: DecisionRows, answered: pa.Table
) -> Mask:
    """Which rows are no longer what they were when the champion answered them: asked again, it answers otherwise.

    A champion that cannot be asked again leaves this open; its predecessor is then compared on all rows.
    """
    try:
        again = predict(registry.load(champion), rows.inputs, declaration.task)
    except (ArtifactError, ColumnsMissing):
        return np.zeros(len(rows), dtype=bool)
    return ~np.isclose(again, answered["prediction"].to_numpy(), rtol=1e-9, atol=1e-12)


def _made(lake: Snapshot, declaration: ModelDeclaration, champion: Version, span: timedelta) -> pa.Table:
    """The champion's own predictions within the watched span, oldest part first."""
    table = declaration.domain.tables.predictions
    try:
        made = lake.read(table, _COLUMNS, lake.parts_between(table, champion.as_of))
    except TableMissing:
        return pa.table({name: pa.array([]) for name in _COLUMNS})
    made = made.filter(
        (pc.field("model") == declaration.name)
        & (pc.field("model_version") == champion.version)
        & (pc.field("prediction_status") == "champion")
    )
    if not made.num_rows:
        return made
    end = later(from_datetime64(made["decision_at"].to_numpy().min()), span)
    return made.filter(pc.field("decision_at") < pa.scalar(as_datetime64(end)))


def _left_out(evidence: WatchEvidence) -> str:
    found = []
    if evidence.awaited:
        found.append(f"The outcomes of {evidence.awaited:%Y-%m-%d} and after are not all known yet.")
    if evidence.changed_rows:
        found.append(f"{evidence.changed_rows:,} decisions are left out: their features changed since they were answered.")
    if evidence.days_given_up:
        found.append(f"{evidence.days_given_up} days are left out: their outcomes stayed away.")
    return "".join(f" {sentence}" for sentence in found)


def _stays(text: str) -> WatchDecision:
    return WatchDecision("stays", Reason("better_than_predecessor", True, None, None, text))
