"""Functions that a question of one's own may use. What is not here is refused.

Left out are those that look outside (files, settings, variables, secrets, other SQL), that do something (sleep, log,
raise), that make a large value of small ones (``repeat``, ``lpad``, ``range`` as a value), and that take longer than
their values are long (distances of texts, functions of lists that take functions): within one value nothing can be
interrupted.
"""

from typing import Final

_OPERATORS: Final = "+ - * / // % ** ^ @ & | ~ << >> ! || ~~ !~~ ~~* !~~* ~~~ ->>"

_NUMBERS: Final = """
abs acos acosh add asin asinh atan atan2 atanh bit_count cbrt ceil ceiling cos cosh cot degrees divide even exp fdiv
floor fmod gcd greatest isfinite isinf isnan lcm least ln log log10 log2 mod multiply pi pow power radians random round
round_even roundbankers sign signbit sin sinh sqrt subtract tan tanh trunc xor
"""

_TEXTS: Final = """
array_to_string ascii bin char_length character_length chr concat concat_ws contains ends_with format_bytes
formatreadabledecimalsize formatreadablesize hash hex ilike_escape instr lcase left len length like_escape lower ltrim
md5 not_ilike_escape not_like_escape nfc_normalize octet_length ord position prefix regexp_escape regexp_extract
regexp_full_match regexp_matches replace reverse right rtrim sha1 sha256 split_part starts_with str_split string_split
string_to_array strip_accents strlen strpos substr substring suffix translate trim ucase unicode upper
"""

_TIMES: Final = """
age ago century current_date current_localtime current_localtimestamp date_add date_diff date_part date_sub date_trunc
datediff datepart datesub datetrunc day dayname dayofmonth dayofweek dayofyear days_in_month decade epoch epoch_ms
epoch_ns epoch_us era get_current_time get_current_timestamp hour isodow isoyear julian last_day make_date make_time
make_timestamp make_timestamp_ms make_timestamp_ns make_timestamptz microsecond millennium millisecond minute month
monthname nanosecond normalized_interval now quarter second strftime strptime time_bucket timezone timezone_hour
timezone_minute to_centuries to_days to_decades to_hours to_microseconds to_millennia to_milliseconds to_minutes
to_months to_quarters to_seconds to_timestamp to_weeks to_years today transaction_timestamp try_strptime week weekday
weekofyear year yearweek
"""

_VALUES: Final = """
array_extract cardinality coalesce constant_or_null element_at ifnull if list_element list_extract
list_pack list_value map map_extract map_extract_value map_keys map_values nullif row struct_extract struct_extract_at
struct_pack typeof unnest uuid_extract_timestamp uuid_extract_version
"""

_AGGREGATES: Final = """
any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null arg_min arg_min_null argmax
argmin array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count count_if count_star countif covar_pop covar_samp
entropy favg first fsum geomean geometric_mean group_concat histogram kahan_sum kurtosis kurtosis_pop last list listagg
mad max max_by mean median min min_by mode product quantile quantile_cont quantile_disc regr_avgx regr_avgy regr_count
regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy reservoir_quantile sem skewness stddev stddev_pop
stddev_samp string_agg sum sum_no_overflow sumkahan var_pop var_samp variance wavg weighted_avg grouping grouping_id
"""

_WINDOWS: Final = """
cume_dist dense_rank fill first_value lag last_value lead nth_value ntile percent_rank rank rank_dense row_number
"""

FUNCTIONS: Final = frozenset(f"{_OPERATORS} {_NUMBERS} {_TEXTS} {_TIMES} {_VALUES} {_AGGREGATES} {_WINDOWS}".split())
"""Names in small letters, of operators too."""

TABLE_FUNCTIONS: Final = frozenset({"range", "generate_series", "unnest"})
"""What FROM may name with arguments."""
