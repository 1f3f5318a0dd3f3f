package import BackupCore

extension Configuration {
    /// This configuration with a drive at another path.
    func moving(_ drive: DriveID, to path: String) -> Configuration {
        var result = self
        result.drives = drives.map { entry in
            entry.id == drive ? DriveEntry(id: entry.id, name: entry.name, path: path) : entry
        }
        return result
    }

    /// `text` with another path for `drive`, everything else as it was; nil when the file is
    /// written in a way that cannot be changed safely.
    package static func moving(
        _ drive: DriveID, to path: String, in text: String, file: String,
        _ surroundings: Surroundings
    ) -> String? {
        // Variables must not decide what stands in the file.
        var bare = surroundings
        bare.variables = bare.variables.filter { !$0.key.hasPrefix("HOLDFAST_") }
        // A file that cannot be read is not changed; the caller has read it before and tells why.
        guard let before = try? read(text, file: file, in: bare),
            before.drives.contains(where: { $0.id == drive })
        else { return nil }
        let expected = before.moving(drive, to: path)
        for key in text.ranges(of: "path:") {
            let rest = text[key.upperBound...]
            let value = rest.drop { $0 == " " }
            guard let end = endOfScalar(value) else { continue }
            let result =
                text[..<key.upperBound] + " " + quoted(path) + text[end...]
            // The proof that this was the drive's path, and that nothing else changed.
            if let after = try? read(String(result), file: file, in: bare), after == expected {
                return String(result)
            }
        }
        return nil
    }

    /// Where the text that starts here ends: at its closing quote, or before a comment, the end
    /// of the line or, when it stands in braces, the next key.
    private static func endOfScalar(_ text: Substring) -> String.Index? {
        guard let first = text.first else { return nil }
        if first == "\"" || first == "'" {
            var escapes = false
            for index in text.indices.dropFirst() {
                if escapes {
                    escapes = false
                } else if text[index] == "\\", first == "\"" {
                    escapes = true
                } else if text[index] == first {
                    return text.index(after: index)
                }
            }
            return nil
        }
        var end = text.startIndex
        for index in text.indices {
            let character = text[index]
            if character.isNewline || character == "," || character == "}" { break }
            if character == "#", index > text.startIndex, text[text.index(before: index)] == " " {
                break
            }
            if character != " " { end = text.index(after: index) }
        }
        return end
    }
}
