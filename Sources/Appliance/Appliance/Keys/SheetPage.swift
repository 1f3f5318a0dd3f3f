import BackupCore

/// The recovery sheet as a page to print.
extension RecoverySheet {
    /// What a page shows of phones and of drives; more are counted, so that it stays one page.
    private static let listed = 4
    /// What it shows of a name.
    private static let nameLength = 24

    /// One HTML document that needs nothing else, no script and no network, and prints on one
    /// sheet of A4 or Letter. Names from phones and drives stand in it as text only.
    package var page: String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy" \
        content="default-src 'none'; style-src 'unsafe-inline'">
        <title>Recovery sheet \(owner)</title>
        <style>
        \(Self.style)
        </style>
        </head>
        <body>
        <header>
        <div><h1>Recovery sheet</h1>
        <p>These nine words open the backups named below on any of their drives, also when the
        Holdfast box is lost or broken. Without them, and without the box, nobody can.</p>
        <table>
        \(facts)
        </table></div>
        <figure>\(QRCode(words.canonical)?.svg ?? "")
        <figcaption>The same words to scan:<br>the password for restic</figcaption></figure>
        </header>
        <ol class="words">
        \(words.words.map { "<li>\($0)</li>" }.joined(separator: "\n"))
        </ol>
        <p class="note">Upper or lower case does not matter to Holdfast. The ninth word is a check
        on the other eight: a letter read wrong is noticed before anything is opened.</p>
        \(Self.instructions(owner: owner, password: words.canonical))
        <footer>
        <p><b>Keep this sheet away from the drives and the box.</b> Whoever has it and one of the
        drives can read everything. Try it once: <code>holdfast key sheet --prove --owner
        \(owner)</code> asks for the words and opens the backups with them alone.</p>
        <table class="hand"><tr><th>Given to</th><td></td><th>Kept at</th><td></td>\
        <th>Proved on</th><td></td></tr></table>
        </footer>
        </body>
        </html>

        """
    }

    private var facts: String {
        let drives = drives.map {
            "\(HostileText.escaped($0.name, limit: Self.nameLength)) (\($0.id))"
        }
        let phones = phones.map(Self.short)
        let rows =
            [
                ("Owner", owner.rawValue), ("Phones", Self.list(phones, none: "none yet")),
                ("Drives", Self.list(drives, none: "none")),
                ("Printed", String(RFC3339.text(printed).prefix(10))),
            ]
            + backupPasswords.prefix(Self.listed).map { phone, password in
                ("Backup password", "\(password) (\(Self.short(phone)))")
            }
        return rows.map { "<tr><th>\($0.0)</th><td>\(Self.text($0.1))</td></tr>" }
            .joined(separator: "\n")
    }

    private static func short(_ name: String) -> String {
        name.count > nameLength ? name.prefix(nameLength) + "…" : name
    }

    private static func list(_ names: [String], none: String) -> String {
        guard !names.isEmpty else { return none }
        let rest = names.count - listed
        return names.prefix(listed).joined(separator: ", ")
            + (rest > 0 ? ", and \(rest) more" : "")
    }

    private static func instructions(owner: OwnerID, password: String) -> String {
        let repository = "DRIVE/holdfast/repositories/\(owner)"
        return """
            <div class="ways">
            <section><h2>On a new Holdfast box</h2>
            <p>Connect the drives and name the folders where they are mounted:</p>
            <pre>holdfast setup --drive DRIVE --drive DRIVE
            holdfast restore latest --to FOLDER</pre>
            <p>Setup asks for the words, finds the phones and their backups again, and changes
            nothing on the drives.</p></section>
            <section><h2>On any computer with restic</h2>
            <p>restic is free: <b>restic.net</b>. One drive is enough.</p>
            <pre>restic -r \(repository) snapshots
            restic -r \(repository) restore latest --target FOLDER</pre>
            <p>The password is the words in lower case, joined by hyphens:</p>
            <pre class="password">\(password)</pre></section>
            </div>
            """
    }

    /// `text` as HTML text. By scalars: a mark that combines with a `<` makes another character of
    /// it, but no other byte.
    private static func text(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { result, scalar in
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(scalar)
            }
        }
    }

    /// Margins come from the page and lengths from millimetres, so that both paper sizes hold it.
    private static let style = """
        @page { size: auto; margin: 12mm; }
        * { box-sizing: border-box; }
        body { max-width: 186mm; margin: 0 auto; color: #000; background: #fff;
          font: 10pt/1.35 "Liberation Sans", "DejaVu Sans", Arial, sans-serif; }
        @media screen { body { padding: 12mm 0; } }
        h1 { font-size: 24pt; line-height: 1.1; margin: 0 0 2mm; }
        h2 { font-size: 11.5pt; margin: 0 0 1mm; }
        p { margin: 0 0 1.5mm; }
        header { display: flex; gap: 8mm; justify-content: space-between;
          border-bottom: 0.6mm solid #000; padding-bottom: 3mm; }
        header > div { flex: 1; min-width: 0; }
        table { border-collapse: collapse; }
        th { text-align: left; vertical-align: top; padding: 0.4mm 4mm 0.4mm 0;
          font-weight: normal; color: #444; white-space: nowrap; }
        td { overflow-wrap: anywhere; padding: 0.4mm 0; }
        figure { margin: 0; width: 46mm; flex: none; text-align: center; font-size: 8.5pt; }
        svg.qr { width: 46mm; height: 46mm; display: block; }
        ol.words { list-style: none; counter-reset: word; margin: 4mm 0 2.5mm; padding: 0;
          display: grid; grid-template-columns: repeat(3, 1fr); gap: 2.5mm; }
        ol.words li { counter-increment: word; border: 0.3mm solid #000; border-radius: 1.5mm;
          padding: 2.2mm 4mm; font: bold 21pt/1.2 "Liberation Mono", "DejaVu Sans Mono", monospace;
          letter-spacing: 0.06em; break-inside: avoid; }
        ol.words li::before { content: counter(word); display: inline-block; width: 8mm;
          font: 10pt "Liberation Sans", "DejaVu Sans", Arial, sans-serif; color: #444; }
        .note { font-size: 9pt; color: #222; }
        .ways { border-top: 0.3mm solid #000; margin-top: 2.5mm; padding-top: 2.5mm; }
        section { break-inside: avoid; margin-bottom: 2.5mm; }
        pre, code { font-family: "Liberation Mono", "DejaVu Sans Mono", monospace; font-size: 9pt; }
        pre { margin: 0 0 1.5mm; padding: 1.2mm 3mm; background: #f2f2f2; white-space: pre-wrap;
          overflow-wrap: anywhere; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
        pre.password { font-weight: bold; }
        footer { border-top: 0.6mm solid #000; padding-top: 2.5mm; break-inside: avoid; }
        table.hand { width: 100%; margin-top: 6mm; }
        table.hand th { padding-right: 2mm; }
        table.hand td + th { padding-left: 5mm; }
        table.hand td { border-bottom: 0.2mm solid #000; width: 30%; }
        """
}
