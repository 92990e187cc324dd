"""The presets: names, and kinds of values, that a regulation or a purpose is about."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

import attrs

from .._names import CARD_NAMES, CREDENTIAL_NAMES, WHOLE_CARD_NAMES, WHOLE_CREDENTIAL_NAMES, word_list


@attrs.frozen
class Preset:
    """One list; the presets that it extends count as part of it."""

    extends: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    """Names that count wherever their words stand in a key: ``user_password``."""
    whole_fields: tuple[str, ...] = ()
    """Names that are also everyday words, and count as the whole of a key only: ``name``, but not ``file_name``."""
    detectors: tuple[str, ...] = ()


PRESETS = MappingProxyType(
    {
        "credentials": Preset(
            fields=CREDENTIAL_NAMES,
            whole_fields=WHOLE_CREDENTIAL_NAMES,
            detectors=(
                "jwt",
                "pem",
                "bearer",
                "basic",
                "cloud_key",
                "url_credentials",
                "url_query",
                "key_value",
            ),
        ),
        "pci_dss": Preset(
            fields=CARD_NAMES,
            whole_fields=WHOLE_CARD_NAMES,
            detectors=("payment_card",),
        ),
        "contact_info": Preset(
            fields=word_list(
                """
                email e_mail email_address phone phone_number telephone mobile_number cell_number fax_number
                street_address postal_address postcode postal_code zipcode zip_code home_address billing_address
                shipping_address
                """
            ),
            whole_fields=word_list("mobile cell fax address street zip city town state province country"),
            detectors=("email", "phone"),
        ),
        "personal_identifiers": Preset(
            fields=word_list(
                """
                first_name last_name full_name surname given_name family_name middle_name maiden_name nickname dob
                date_of_birth birth_date birthday birthdate
                """
            ),
            whole_fields=word_list("name age gender sex"),
        ),
        "online_identifiers": Preset(
            fields=word_list(
                """
                ip_address ipv4 ipv6 client_ip remote_ip remote_addr device_id device_identifier udid idfa gaid
                mac_address hardware_id user_agent browser_fingerprint cookie_id tracking_id visitor_id
                """
            ),
            whole_fields=word_list("ip mac"),
            detectors=("ipv4", "ipv6"),
        ),
        "financial_identifiers": Preset(
            fields=word_list("iban bank_account account_number account_no sort_code routing_number"),
            whole_fields=word_list("bic swift bsb"),
            detectors=("iban",),
        ),
        "us_government_ids": Preset(
            fields=word_list(
                """
                ssn social_security social_security_number itin passport passport_number drivers_license driver_license
                dl_number
                """
            ),
            whole_fields=word_list("ein"),
            detectors=("us_ssn",),
        ),
        "uk_government_ids": Preset(
            fields=word_list(
                """
                national_insurance national_insurance_number ni_number nino nhs_number passport passport_number
                driving_licence licence_number
                """
            ),
            detectors=("uk_nino",),
        ),
        "eu_government_ids": Preset(
            fields=word_list(
                """
                national_id id_number identity_number id_card passport passport_number tax_id vat_number
                drivers_license licence_number
                """
            ),
            whole_fields=word_list("tin"),
        ),
        "gdpr_pii": Preset(
            extends=(
                "contact_info",
                "personal_identifiers",
                "online_identifiers",
                "financial_identifiers",
                "eu_government_ids",
            ),
            fields=word_list("biometric_data genetic_data health_data"),
        ),
        "gdpr_pii_uk": Preset(extends=("gdpr_pii", "uk_government_ids")),
        "ccpa_pii": Preset(
            extends=(
                "contact_info",
                "personal_identifiers",
                "online_identifiers",
                "financial_identifiers",
                "us_government_ids",
            ),
            fields=word_list("household_id inferred_preferences purchase_history"),
        ),
        "hipaa_phi": Preset(
            extends=("contact_info", "personal_identifiers", "us_government_ids"),
            fields=word_list(
                """
                mrn medical_record medical_record_number patient_id health_plan health_plan_id beneficiary_id
                account_number certificate_number license_number vehicle_id device_serial device_identifier web_url
                biometric_id fingerprint voiceprint
                """
            ),
            whole_fields=word_list("vin url photo image"),
        ),
        "high_risk_fields": Preset(
            fields=word_list("request_body response_body raw_body raw_request raw_response"),
            whole_fields=word_list("body payload raw dump"),
        ),
    }
)
"""The presets by name."""


def resolved(names: tuple[str, ...]) -> Preset:
    """Return the presets of these *names*, and those that they extend, as one."""
    found = dict.fromkeys(_with_parents(names))
    presets = [PRESETS[name] for name in found]
    return Preset(
        extends=tuple(found),
        fields=tuple(dict.fromkeys(name for preset in presets for name in preset.fields)),
        whole_fields=tuple(dict.fromkeys(name for preset in presets for name in preset.whole_fields)),
        detectors=tuple(dict.fromkeys(name for preset in presets for name in preset.detectors)),
    )


def _with_parents(names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        yield from _with_parents(PRESETS[name].extends)
        yield name
