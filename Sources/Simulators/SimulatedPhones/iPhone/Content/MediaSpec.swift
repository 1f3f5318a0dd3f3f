/// What lies in the media folder of a simulated iPhone; the same numbers give the same files for
/// ever.
package struct MediaSpec: Sendable, Equatable {
    /// Photos and videos whose originals are on the phone.
    package var photoCount = 24
    /// Bytes of each photo; videos have four times as many.
    package var photoByteCount = 150_000
    /// Photos whose originals are in iCloud only.
    package var cloudPhotoCount = 3
    /// Chooses the content.
    package var seed: UInt64 = 1

    /// A small phone.
    package init() {}
}

/// A photo or video of the library.
struct PhotoAsset: Sendable {
    enum Kind: Sendable, CaseIterable {
        case heic, jpeg, video
        /// A photo with a moment of video beside it.
        case live
        /// A photo with changes of the owner's, which lie beside it.
        case edited
    }

    /// From 1; also the number in its name.
    let number: Int
    let kind: Kind
    /// Whether the original is on the phone.
    let isLocal: Bool
    let byteCount: Int

    /// "DCIM/100APPLE": 999 numbers in each.
    var folder: String { "DCIM/\(100 + (number - 1) / 999)APPLE" }
    var stem: String {
        let digits = String(number % 10_000)
        return "IMG_" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
    var name: String {
        switch kind {
        case .heic, .live: stem + ".HEIC"
        case .jpeg, .edited: stem + ".JPG"
        case .video: stem + ".MOV"
        }
    }
    /// Every seven hours from 2023-11-14 on.
    var taken: Int64 { 1_700_000_000 + Int64(number) * 25_200 }
    var nanoseconds: Int { number * 123_456_789 % 1_000_000_000 }

    /// The library of a spec: local ones first.
    static func library(_ spec: MediaSpec) -> [PhotoAsset] {
        (0..<(spec.photoCount + spec.cloudPhotoCount)).map { index in
            let isLocal = index < spec.photoCount
            let kind: Kind =
                switch index % 8 {
                case 2: .jpeg
                case 4: .video
                case 5: .live
                case 7: .edited
                default: .heic
                }
            return PhotoAsset(
                number: index + 1, kind: isLocal ? kind : .heic, isLocal: isLocal,
                byteCount: isLocal && kind == .video
                    ? spec.photoByteCount * 4 : spec.photoByteCount)
        }
    }
}
