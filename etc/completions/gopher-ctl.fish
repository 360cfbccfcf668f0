# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_gopher_ctl_global_optspecs
    string join \n socket= json color= h/help V/version
end

function __fish_gopher_ctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_gopher_ctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_gopher_ctl_using_subcommand
    set -l cmd (__fish_gopher_ctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -s V -l version -d 'Print version'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -f -a "probe" -d 'Show and change probes'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -f -a "targets" -d 'Show what a feature observes now, and why'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -f -a "save" -d 'Write the present set of probes to probes.init'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -f -a "apply" -d 'Set several probes in one transaction: all take effect, or none'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -f -a "metric" -d 'Print the metrics as they are now; nothing is drained'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -f -a "top" -d 'Watch what the features do and cost'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -f -a "events" -d 'Show the latest events, or follow them as they come'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -f -a "capabilities" -d 'Show what this kernel and host offer to probes'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -f -a "spool" -d 'Show, wait for or give up what waits to be delivered to Kafka and webhooks'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -f -a "check-config" -d 'Check configuration and probes.init as the daemon would read them, without a daemon'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -f -a "log-level" -d 'Show or change how much the daemon logs, until it ends or reads its configuration again'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -f -a "ready" -d 'Say whether the daemon does its work, and what is not as configured'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -f -a "completions" -d 'Print the completions for a shell'
complete -c gopher-ctl -n "__fish_gopher_ctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and not __fish_seen_subcommand_from list get set start stop explain help" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and not __fish_seen_subcommand_from list get set start stop explain help" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and not __fish_seen_subcommand_from list get set start stop explain help" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and not __fish_seen_subcommand_from list get set start stop explain help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and not __fish_seen_subcommand_from list get set start stop explain help" -f -a "list" -d 'List every feature with its state'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and not __fish_seen_subcommand_from list get set start stop explain help" -f -a "get" -d 'Print a feature\'s configuration and status as JSON, which set takes back'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and not __fish_seen_subcommand_from list get set start stop explain help" -f -a "set" -d 'Merge a configuration over a feature\'s present one'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and not __fish_seen_subcommand_from list get set start stop explain help" -f -a "start" -d 'Start a feature with the configuration that it has'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and not __fish_seen_subcommand_from list get set start stop explain help" -f -a "stop" -d 'Stop a feature; its configuration stays'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and not __fish_seen_subcommand_from list get set start stop explain help" -f -a "explain" -d 'Explain a feature: its parts, parameters and tables, how it fares, and what to do'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and not __fish_seen_subcommand_from list get set start stop explain help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from list" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from list" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from list" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from get" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from get" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from get" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from set" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from set" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from set" -l dry-run -d 'Check everything, change nothing, and show what would change'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from set" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from start" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from start" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from start" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from stop" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from stop" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from stop" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from explain" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from explain" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from explain" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from help" -f -a "list" -d 'List every feature with its state'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from help" -f -a "get" -d 'Print a feature\'s configuration and status as JSON, which set takes back'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from help" -f -a "set" -d 'Merge a configuration over a feature\'s present one'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from help" -f -a "start" -d 'Start a feature with the configuration that it has'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from help" -f -a "stop" -d 'Stop a feature; its configuration stays'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Explain a feature: its parts, parameters and tables, how it fares, and what to do'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand targets" -l pid -d 'Say whether this process is observed, and why' -r
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand targets" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand targets" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand targets" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand targets" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand save" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand save" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand save" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand save" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand apply" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand apply" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand apply" -l dry-run -d 'Check everything, change nothing, and show what would change'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand apply" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand metric" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand metric" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand metric" -l per-period -d 'The values of the last report period, as gala-gopher shows them'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand metric" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand metric" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand top" -s i -l interval -d 'Seconds between two looks' -r
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand top" -s n -l batches -d 'End after so many tables, each of a whole interval, printed one after the other' -r
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand top" -s s -l sort -d 'The column to sort by' -r -f -a "feature\t'By name'
state\t'What fails first'
targets\t'Most targets first'
series\t'Most series first'
samples\t'Most samples a second first'
cpu\t'Most CPU time first'
bpf\t'Most run time in the kernel first'
memory\t'Most memory first'
lost\t'Most losses first'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand top" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand top" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand top" -s a -l all -d 'Show features that neither run nor shall'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand top" -l sub-probes -d 'Show what each sub-probe costs, over the last ten seconds'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand top" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand top" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand events" -l entity -d 'Only of this kind of entity, as tcp_link, or of the one with this id' -r
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand events" -l severity -d 'Only as serious, or more' -r -f -a "info\t''
warn\t''
error\t''
fatal\t''"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand events" -l since -d 'Not earlier than this time in UTC, as 2026-01-02T03:04:05Z' -r
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand events" -s n -l limit -d 'At most so many, the newest' -r
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand events" -l feature -d 'Only of this feature' -r -f -a "baseinfo\t''
container\t''
io\t''
proc\t''
socket\t''
tcp\t''
virt\t''
flamegraph\t''
l7\t''
jvm\t''
postgre_sli\t''
opengauss_sli\t''
nginx\t''
lvs\t''
kafka\t''
tprofiling\t''
hw\t''
ksli\t''
sermant\t''
sli\t''
flowtracer\t''
dnsmasq\t''
haproxy\t''"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand events" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand events" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand events" -s f -l follow -d 'Go on with each event as it comes, until interrupted'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand events" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand events" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand capabilities" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand capabilities" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand capabilities" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand capabilities" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and not __fish_seen_subcommand_from show drain purge help" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and not __fish_seen_subcommand_from show drain purge help" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and not __fish_seen_subcommand_from show drain purge help" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and not __fish_seen_subcommand_from show drain purge help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and not __fish_seen_subcommand_from show drain purge help" -f -a "show" -d 'Show what waits for each sink, since when, and what was lost'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and not __fish_seen_subcommand_from show drain purge help" -f -a "drain" -d 'Wait until what waits now is delivered; nothing is deleted'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and not __fish_seen_subcommand_from show drain purge help" -f -a "purge" -d 'Give up what waits for a sink; it is counted as lost'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and not __fish_seen_subcommand_from show drain purge help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from show" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from show" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from show" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from drain" -l sink -d 'Wait for this sink only' -r
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from drain" -l timeout -d 'Give up waiting after so many seconds, with exit code 5' -r
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from drain" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from drain" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from drain" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from drain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from purge" -l sink -d 'The sink' -r
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from purge" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from purge" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from purge" -l yes -d 'Really'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from purge" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from purge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show what waits for each sink, since when, and what was lost'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from help" -f -a "drain" -d 'Wait until what waits now is delivered; nothing is deleted'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from help" -f -a "purge" -d 'Give up what waits for a sink; it is counted as lost'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand spool; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand check-config" -s c -l config -d 'Configuration file; without it the daemon\'s own' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand check-config" -l probes-init -d 'The probes to start with; without it what the configuration says' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand check-config" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand check-config" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand check-config" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand check-config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand log-level" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand log-level" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand log-level" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand log-level" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand ready" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand ready" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand ready" -l strict -d 'Any problem counts as not ready'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand ready" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand ready" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand completions" -l socket -d 'The daemon\'s socket' -r -F
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand completions" -l color -d 'When to use colour; auto is on a terminal, without NO_COLOR and TERM=dumb' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand completions" -l json -d 'Print the daemon\'s JSON as it is'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and not __fish_seen_subcommand_from probe targets save apply metric top events capabilities spool check-config log-level ready completions help" -f -a "probe" -d 'Show and change probes'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and not __fish_seen_subcommand_from probe targets save apply metric top events capabilities spool check-config log-level ready completions help" -f -a "targets" -d 'Show what a feature observes now, and why'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and not __fish_seen_subcommand_from probe targets save apply metric top events capabilities spool check-config log-level ready completions help" -f -a "save" -d 'Write the present set of probes to probes.init'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and not __fish_seen_subcommand_from probe targets save apply metric top events capabilities spool check-config log-level ready completions help" -f -a "apply" -d 'Set several probes in one transaction: all take effect, or none'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and not __fish_seen_subcommand_from probe targets save apply metric top events capabilities spool check-config log-level ready completions help" -f -a "metric" -d 'Print the metrics as they are now; nothing is drained'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and not __fish_seen_subcommand_from probe targets save apply metric top events capabilities spool check-config log-level ready completions help" -f -a "top" -d 'Watch what the features do and cost'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and not __fish_seen_subcommand_from probe targets save apply metric top events capabilities spool check-config log-level ready completions help" -f -a "events" -d 'Show the latest events, or follow them as they come'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and not __fish_seen_subcommand_from probe targets save apply metric top events capabilities spool check-config log-level ready completions help" -f -a "capabilities" -d 'Show what this kernel and host offer to probes'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and not __fish_seen_subcommand_from probe targets save apply metric top events capabilities spool check-config log-level ready completions help" -f -a "spool" -d 'Show, wait for or give up what waits to be delivered to Kafka and webhooks'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and not __fish_seen_subcommand_from probe targets save apply metric top events capabilities spool check-config log-level ready completions help" -f -a "check-config" -d 'Check configuration and probes.init as the daemon would read them, without a daemon'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and not __fish_seen_subcommand_from probe targets save apply metric top events capabilities spool check-config log-level ready completions help" -f -a "log-level" -d 'Show or change how much the daemon logs, until it ends or reads its configuration again'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and not __fish_seen_subcommand_from probe targets save apply metric top events capabilities spool check-config log-level ready completions help" -f -a "ready" -d 'Say whether the daemon does its work, and what is not as configured'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and not __fish_seen_subcommand_from probe targets save apply metric top events capabilities spool check-config log-level ready completions help" -f -a "completions" -d 'Print the completions for a shell'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and not __fish_seen_subcommand_from probe targets save apply metric top events capabilities spool check-config log-level ready completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and __fish_seen_subcommand_from probe" -f -a "list" -d 'List every feature with its state'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and __fish_seen_subcommand_from probe" -f -a "get" -d 'Print a feature\'s configuration and status as JSON, which set takes back'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and __fish_seen_subcommand_from probe" -f -a "set" -d 'Merge a configuration over a feature\'s present one'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and __fish_seen_subcommand_from probe" -f -a "start" -d 'Start a feature with the configuration that it has'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and __fish_seen_subcommand_from probe" -f -a "stop" -d 'Stop a feature; its configuration stays'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and __fish_seen_subcommand_from probe" -f -a "explain" -d 'Explain a feature: its parts, parameters and tables, how it fares, and what to do'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and __fish_seen_subcommand_from spool" -f -a "show" -d 'Show what waits for each sink, since when, and what was lost'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and __fish_seen_subcommand_from spool" -f -a "drain" -d 'Wait until what waits now is delivered; nothing is deleted'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand help; and __fish_seen_subcommand_from spool" -f -a "purge" -d 'Give up what waits for a sink; it is counted as lost'
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand probe; and __fish_seen_subcommand_from get set start stop explain" -f -a "baseinfo container io proc socket tcp virt flamegraph l7 jvm postgre_sli opengauss_sli nginx lvs kafka tprofiling hw ksli sermant sli flowtracer dnsmasq haproxy"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand targets" -f -a "baseinfo container io proc socket tcp virt flamegraph l7 jvm postgre_sli opengauss_sli nginx lvs kafka tprofiling hw ksli sermant sli flowtracer dnsmasq haproxy"
complete -c gopher-ctl -n "__fish_gopher_ctl_using_subcommand events" -f -a "baseinfo container io proc socket tcp virt flamegraph l7 jvm postgre_sli opengauss_sli nginx lvs kafka tprofiling hw ksli sermant sli flowtracer dnsmasq haproxy"
