# The console logs of all kernels, one file each, to one table. A row is a test, a job of an object (VERDICT lines) or a
# question (ANSWER lines); what is missing is a number in the table and a sentence below it.

FNR == 1 { column++ }

# A test may write to the console itself; then its result is alone on a later line.
/^test .* \.\.\. / {
	name = $2
	gsub(/registry::|tests::/, "", name)
	if ($NF ~ /^(ok|FAILED)$/) cell("1 test", name, $NF)
	else unfinished = name
}
/^(ok|FAILED)$/ && unfinished {
	cell("1 test", unfinished, $1)
	unfinished = ""
}
/^VERDICT / { told("2 program", substr($0, 9)) }
/^ANSWER / { told("3 question", substr($0, 8)) }

function told(kind, text,    at, text_after) {
	at = index(text, ": ")
	text_after = substr(text, at + 2)
	cell(kind, substr(text, 1, at - 1), text_after ~ /^(yes|attached|loaded|[a-z0-9_]+ (attached|loaded))$/ ? text_after : "[" note(text_after) "]")
}

function note(text) {
	if (!(text in notes)) {
		notes[text] = ++noted
		sentences[noted] = text
	}
	return notes[text]
}

function cell(kind, name, value,    key) {
	key = kind SUBSEP name
	if (!(key in rows)) {
		rows[key] = 1
		order[++count] = key
		if (length(name) > width) width = length(name)
	}
	if (value == "ok" && values[key, column] ~ /FAILED|2nd/) value = "2nd ok"
	values[key, column] = value
	if (length(value) > widths[column]) widths[column] = length(value)
}

END {
	columns = split(versions, version, " ")
	for (i = 1; i <= columns; i++) if (length(version[i]) > widths[i]) widths[i] = length(version[i])
	for (k = 1; k <= 3; k++) {
		head = 0
		for (i = 1; i <= count; i++) {
			split(order[i], part, SUBSEP)
			if (substr(part[1], 1, 1) != k) continue
			if (!head++) line(substr(part[1], 3), version)
			for (c = 1; c <= columns; c++) row[c] = (order[i], c) in values ? values[order[i], c] : "-"
			line(part[2], row)
		}
		if (head) print ""
	}
	for (i = 1; i <= noted; i++) printf "[%d] %s\n", i, sentences[i]
}

function line(name, cells,    c) {
	printf "%-" width "s", name
	for (c = 1; c <= columns; c++) printf "  %-" widths[c] "s", cells[c]
	print ""
}
