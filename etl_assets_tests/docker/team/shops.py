"""A source of the second code location."""

from etl_assets import Column, Csv, FileExtractor, Limits, Schema, Source

SOURCE = Source(
    name="shops",
    description="Shops of a partner.",
    owner="team:partners",
    extractor=FileExtractor(location="/sources/shops.csv", format=Csv()),
    schema=Schema(
        columns=(Column("shop_id", "integer", required=True), Column("name", "text", required=True)), key=("shop_id",)
    ),
    limits=Limits(memory="768Mi"),
)
