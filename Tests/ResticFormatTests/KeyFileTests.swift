import BackupCore
import Testing

@testable import ResticFormat

@Suite struct KeyFileTests {
    private let masterKey = MasterKey.random()

    private func make(_ password: String) -> [UInt8] {
        KeyFile.make(
            password: password, masterKey: masterKey, hostname: "box", username: "holdfast",
            created: .zero, cost: .forTests
        ).bytes
    }

    @Test func onlyItsPasswordOpensAKeyFile() throws {
        let file = make("words")
        #expect(try KeyFile.open(file, password: "words") == masterKey)
        #expect(try KeyFile.open(file, password: "Words") == nil)
        #expect(try KeyFile.open(file, password: "") == nil)
    }

    @Test func standardCostOpensToo() throws {
        let file = KeyFile.make(
            password: "words", masterKey: masterKey, hostname: "box", username: "u", created: .zero)
        #expect(file.id == ContentID.sha256(of: file.bytes))
        #expect(try KeyFile.open(file.bytes, password: "words") == masterKey)
    }

    @Test(arguments: [
        ("\"N\":16", "\"N\":17"), ("\"N\":16", "\"N\":0"), ("\"N\":16", "\"N\":4294967296"),
        ("\"N\":16", "\"N\":18446744073709551615"), ("\"p\":1", "\"p\":1048576"),
        ("\"r\":8", "\"r\":1073741824"), ("\"r\":8", "\"r\":0"), ("\"p\":1", "\"p\":0"),
        ("\"N\":16", "\"N\":8388608"),
    ])
    func greedyParametersAreRefused(from: String, to: String) {
        let text = String(decoding: make("words"), as: UTF8.self).replacing(from, with: to)
        #expect(code { try KeyFile.open(Array(text.utf8), password: "words") } == .limitExceeded)
    }

    @Test func otherHardeningIsUnsupported() {
        let text = String(decoding: make("words"), as: UTF8.self)
            .replacing("scrypt", with: "argon2")
        #expect(code { try KeyFile.open(Array(text.utf8), password: "words") } == .unsupported)
    }

    @Test func scryptIsTheStandards() {
        // RFC 7914, section 12, second vector.
        let key = scrypt(
            password: Array("password".utf8), salt: Array("NaCl".utf8), n: 1024, r: 8, p: 16,
            byteCount: 64)
        #expect(
            key
                == bytes(
                    "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
                        + "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"))
    }

    @Test func base64IsTheStandards() {
        // RFC 4648, section 10.
        let vectors = ["": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg=="]
        for (plain, text) in vectors {
            #expect(Base64.encode(Array(plain.utf8)) == Array(text.utf8))
            #expect(Base64.decode(Array(text.utf8)) == Array(plain.utf8))
        }
        for text in ["Zg=", "Zg", "Z===", "Zg==Zg==", "Zm9*", "====", "=Zg="] {
            #expect(Base64.decode(Array(text.utf8)) == nil, "\(text)")
        }
    }
}
