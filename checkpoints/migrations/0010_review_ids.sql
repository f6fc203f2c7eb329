-- Reviews by the beginning of their id: people type as much of it as tells it from the others.
create index reviews_by_id on adjourn.reviews (review_id text_pattern_ops);
