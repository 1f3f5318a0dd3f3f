/// Names, places and sizes of the many small files of a phone.
struct GeneratedNames {
    private var number = 0

    static func day(_ moment: Int64) -> String {
        String(PTPDate.text(unixSeconds: moment, zone: 0).prefix(8))
    }

    static func time(_ moment: Int64) -> String {
        String(PTPDate.text(unixSeconds: moment, zone: 0).suffix(6))
    }

    /// Starts of real file formats, so that programs which look at content recognise them.
    static func magic(of path: String) -> [UInt8] {
        switch path.split(separator: ".").last {
        case "jpg": [0xFF, 0xD8, 0xFF, 0xE0, 0, 0x10, 0x4A, 0x46, 0x49, 0x46, 0, 1]
        case "png": [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
        case "mp4", "m4a": [0, 0, 0, 0x18] + Array("ftypmp42".utf8)
        case "pdf": Array("%PDF-1.7\n".utf8)
        case "opus": Array("OggS".utf8)
        default: []
        }
    }

    private static let media = "Android/media/com.whatsapp/WhatsApp/Media"

    /// Names that trouble programs: two Unicode forms of one word, other scripts, emoji, the
    /// narrow space of American times, 255 bytes.
    private static let awkward = [
        "Download/M\u{FC}ller.txt", "Download/Mu\u{308}ller.txt",
        "Download/\u{1F389} party \u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}.txt",
        "Download/\u{65E5}\u{672C}\u{8A9E}\u{306E}\u{30D5}\u{30A1}\u{30A4}\u{30EB}.txt",
        "Download/\u{627}\u{644}\u{639}\u{631}\u{628}\u{64A}\u{629}.txt",
        "Pictures/Screenshots/Screenshot 2024-05-01 at 9.41.00\u{202F}AM.png",
        "Download/Rechnung M\u{E4}rz 2024 (1).txt", "Download/.nomedia",
        "Download/" + String(repeating: "\u{E9}", count: 125) + "n.txt",
        "Documents/Notes/Reisepl\u{E4}ne & Ideen.txt",
    ]

    mutating func small(_ random: inout SeededGenerator) -> GeneratedTree.Draft {
        defer { number += 1 }
        let moment = GeneratedTree.moment(&random)
        let weight = UInt64.random(in: 200...60_000, using: &random)
        if number < Self.awkward.count {
            return draft(Self.awkward[number], moment, weight / 10, .text)
        }
        let day = Self.day(moment)
        let month = day.prefix(6)
        let time = Self.time(moment)
        switch UInt64.random(in: 0..<100, using: &random) {
        case 0..<30:
            return draft(
                "\(Self.media)/WhatsApp Images/IMG-\(day)-WA\(padded).jpg", moment, weight * 2,
                .noise)
        case 30..<50:
            return draft(
                "\(Self.media)/WhatsApp Voice Notes/\(month)/PTT-\(day)-WA\(padded).opus", moment,
                weight / 2, .noise)
        case 50..<60:
            return draft(
                "\(Self.media)/WhatsApp Images/Sent/IMG-\(day)-WA\(padded).jpg", moment, weight,
                .noise)
        case 60..<72:
            return draft(
                "Pictures/Screenshots/Screenshot_\(day)-\(time)_\(number).png", moment, weight,
                .noise)
        case 72..<80:
            return draft("Download/document-\(number).pdf", moment, weight, .noise)
        case 80..<86:
            return draft("Recordings/Voice Recorder/Voice \(number).m4a", moment, weight, .noise)
        case 86..<94:
            return draft("Documents/Notes/\(month)/note-\(number).txt", moment, weight / 8, .text)
        default:
            return draft(
                "Android/media/org.example.app/logs/\(month)/log-\(number).txt", moment,
                weight / 4, .text)
        }
    }

    private var padded: String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    private func draft(
        _ path: String, _ moment: Int64, _ weight: UInt64, _ texture: DeterministicBytes.Texture
    ) -> GeneratedTree.Draft {
        GeneratedTree.Draft(path: path, modified: moment, weight: weight, texture: texture)
    }
}
