-- Effects of which the end alone is recorded: the audit tells of them as of all others.
create trigger audit_effect_recorded after insert on adjourn.effects
    for each row when (new.status in ('done', 'failed')) execute function adjourn.audit_effect_ended();
