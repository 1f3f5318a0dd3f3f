/// What to generate: "files=20000,bytes=3g,seed=1".
package struct GeneratedTreeSpec: Sendable, Equatable {
    /// How many files; folders come on top.
    package var fileCount = 1000
    /// How many bytes they have together; exact.
    package var byteCount: UInt64 = 200_000_000
    /// Chooses names, sizes, dates and content.
    package var seed: UInt64 = 1

    /// A small phone.
    package init() {}

    /// Reads the text form; nil when a key is unknown or a number malformed. Sizes take k, m
    /// and g (powers of 1,000).
    package init?(_ text: String) {
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, let value = Self.number(pair[1]) else { return nil }
            switch pair[0] {
            case "files": fileCount = Int(clamping: value)
            case "bytes": byteCount = value
            case "seed": seed = value
            default: return nil
            }
        }
        guard (1...2_000_000).contains(fileCount) else { return nil }
    }

    private static func number(_ text: Substring) -> UInt64? {
        let factors: [Character: UInt64] = ["k": 1000, "m": 1_000_000, "g": 1_000_000_000]
        guard let last = text.last, let factor = factors[Character(last.lowercased())] else {
            return UInt64(text)
        }
        guard let value = UInt64(text.dropLast()) else { return nil }
        let (product, overflow) = value.multipliedReportingOverflow(by: factor)
        return overflow ? nil : product
    }
}

/// A file of a generated tree.
package struct GeneratedFile: Sendable {
    /// Path below the storage's top, parts divided by "/".
    package var path: String
    /// Last change, seconds since 1970.
    package var modified: Int64
    /// Nanoseconds to add; Android's protocol has none.
    package var nanoseconds = 0
    /// Its bytes.
    package var content: DeterministicBytes
}

/// Lays out the files of a phone that somebody has used for some years.
package enum GeneratedTree {
    private static let bigDatabase =
        "Android/media/com.whatsapp/WhatsApp/Databases/msgstore.db"
    private static let firstDay: Int64 = 1_546_300_800  // 2019-01-01
    private static let lastDay: Int64 = 1_767_225_600  // 2026-01-01

    /// The files, in the order of their making; the same for the same spec.
    package static func files(_ spec: GeneratedTreeSpec) -> [GeneratedFile] {
        var random = SeededGenerator(seed: spec.seed &* 0x2545_F491_4F6C_DD1D)
        let databaseSize = spec.byteCount / 10 / 4096 * 4096
        var drafts = [
            Draft(path: bigDatabase, modified: lastDay - 3600, weight: 0, texture: .database)
        ]
        let others = spec.fileCount - 1
        let photos = min(max(1, Int(spec.byteCount / 7_000_000)), max(0, others * 3 / 4))
        let videos = min(Int(spec.byteCount / 1_500_000_000), max(0, others - photos))
        for index in 0..<photos { drafts.append(photo(index, &random)) }
        for index in 0..<videos { drafts.append(video(index, &random)) }
        var names = GeneratedNames()
        while drafts.count < spec.fileCount { drafts.append(names.small(&random)) }
        return sized(drafts, spec: spec, databaseSize: databaseSize)
    }

    struct Draft {
        var path: String
        var modified: Int64
        var weight: UInt64
        var texture: DeterministicBytes.Texture
    }

    static func moment(_ random: inout SeededGenerator) -> Int64 {
        Int64.random(in: firstDay..<lastDay, using: &random)
    }

    private static func photo(_ index: Int, _ random: inout SeededGenerator) -> Draft {
        let moment = moment(&random)
        let weight = UInt64.random(in: 2_000_000...8_000_000, using: &random)
        let day = GeneratedNames.day(moment)
        let time = GeneratedNames.time(moment)
        let name =
            index % 3 == 0
            ? "PXL_\(day)_\(time)\(100 + index % 900).jpg" : "IMG_\(day)_\(time)_\(index).jpg"
        return Draft(
            path: "DCIM/Camera/\(name)", modified: moment, weight: weight, texture: .noise)
    }

    private static func video(_ index: Int, _ random: inout SeededGenerator) -> Draft {
        let moment = moment(&random)
        let weight = UInt64.random(in: 60_000_000...120_000_000, using: &random)
        let name = "VID_\(GeneratedNames.day(moment))_\(GeneratedNames.time(moment))_\(index).mp4"
        return Draft(
            path: "DCIM/Camera/\(name)", modified: moment, weight: weight, texture: .noise)
    }

    /// Scales the weights so that all bytes together are what was asked.
    private static func sized(
        _ drafts: [Draft], spec: GeneratedTreeSpec, databaseSize: UInt64
    ) -> [GeneratedFile] {
        let total = drafts.reduce(UInt64(0)) { $0 + $1.weight }
        let budget = spec.byteCount - databaseSize
        var left = budget
        var files: [GeneratedFile] = []
        for (index, draft) in drafts.enumerated() {
            var size = databaseSize
            if draft.texture != .database {
                let share = Double(draft.weight) / Double(max(1, total)) * Double(budget)
                size = min(left, UInt64(share))
                // The last file takes what rounding left over.
                if index == drafts.count - 1 { size = left }
                left -= size
            } else if drafts.count == 1 {
                size = spec.byteCount
            }
            let seed = SeededGenerator.mixed(spec.seed &+ UInt64(index) &* 0x1_0000_0001)
            files.append(
                GeneratedFile(
                    path: draft.path, modified: draft.modified,
                    content: DeterministicBytes(
                        seed: seed, texture: draft.texture, byteCount: size,
                        magic: GeneratedNames.magic(of: draft.path))))
        }
        return files
    }
}
